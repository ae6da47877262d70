//! Text encrypted under a pass phrase as CryptoJS does it (`AES.encrypt(text, phrase).toString()`), which is what
//! postgres-meta reads in `x-connection-encrypted`.
//!
//! That is OpenSSL's salted format: Base64 of `Salted__`, eight bytes of salt and AES-256-CBC with PKCS #7, key and
//! initialization vector by EVP_BytesToKey with MD5 and one round (OpenSSL's manual, `EVP_BytesToKey(3)`). It has no
//! authentication and a weak derivation: it is for a connection that is private already, under a key that is random.

use aws_lc_rs::{
    cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    iv::FixedLength,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use freehold_core::{Error, ExposeSecret, Result, SecretString};
use md5::{Digest as _, Md5};
use rand::{TryRngCore as _, rngs::OsRng};
use zeroize::Zeroizing;

const SALT: usize = 8;
const KEY: usize = 32;
const VECTOR: usize = 16;

/// Encrypts a text under a phrase and a new salt.
///
/// # Errors
/// `Internal` if the system gives no randomness.
pub(crate) fn encrypt(phrase: &SecretString, text: &SecretString) -> Result<SecretString> {
    let mut salt = [0; SALT];
    let drawn = OsRng.try_fill_bytes(&mut salt);
    drawn.map_err(|error| Error::internal("draw a salt").because(error))?;
    with_salt(phrase, salt, text)
}

fn with_salt(phrase: &SecretString, salt: [u8; SALT], text: &SecretString) -> Result<SecretString> {
    let failed = |_| Error::internal("encrypt a connection string");
    let derived = derived(phrase.expose_secret().as_bytes(), salt);
    let (key, vector) = derived.split_at(KEY);
    let vector: &[u8; VECTOR] =
        vector.try_into().map_err(|_| Error::internal("derive an initialization vector"))?;
    let key = UnboundCipherKey::new(&AES_256, key).map_err(failed)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(failed)?;
    let mut data = text.expose_secret().as_bytes().to_vec();
    let context = EncryptionContext::Iv128(FixedLength::<VECTOR>::from(vector));
    key.less_safe_encrypt(&mut data, context).map_err(failed)?;
    Ok(STANDARD.encode([b"Salted__".as_slice(), &salt, &data].concat()).into())
}

/// Key and initialization vector.
fn derived(phrase: &[u8], salt: [u8; SALT]) -> Zeroizing<[u8; KEY + VECTOR]> {
    let mut derived = Zeroizing::new([0; KEY + VECTOR]);
    let mut block = Vec::new();
    for part in derived.chunks_mut(VECTOR) {
        let digest = Md5::new().chain_update(&block).chain_update(phrase).chain_update(salt).finalize();
        part.copy_from_slice(&digest);
        block = digest.to_vec();
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_crypto_js_makes_of_it() {
        // Made by crypto-js 4.2 and checked with `openssl enc -aes-256-cbc -md md5`.
        let made = with_salt(
            &"SAMPLE_KEY".into(),
            [0, 1, 2, 3, 4, 5, 6, 7],
            &"postgresql://postgres:postgres@db:5432/postgres".into(),
        );
        let expected =
            "U2FsdGVkX18AAQIDBAUGB2fxGLVTKNCCANEGRJa/6Yc9CjbaukMbgOZAJkY6g2x58n6DtA8TIjEieCZX8o0QNg==";
        assert_eq!(made.unwrap().expose_secret(), expected);
    }

    #[test]
    fn no_two_are_alike() {
        let (phrase, text) = ("phrase".into(), "text".into());
        let (one, two) = (encrypt(&phrase, &text).unwrap(), encrypt(&phrase, &text).unwrap());
        assert_ne!(one.expose_secret(), two.expose_secret());
    }
}
