//! Making a project's secrets from what its stack declares.

mod tokens;

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use rand::{Rng, TryRngCore, rngs::OsRng};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    error::{Error, Kind, Result},
    names::SecretName,
    stack::{SecretGenerator, StackSpec},
};

/// How many bytes a chosen secret may have.
const MAX_CHOSEN: usize = 4096;

/// All secrets of a new project: those that the caller chose, and the rest made as the stack declares.
///
/// # Errors
/// `InvalidInput` for a chosen secret that the stack does not declare or that no configuration file can hold;
/// `Unavailable` if the system gives no randomness.
pub(crate) fn make(
    stack: &StackSpec,
    chosen: &BTreeMap<SecretName, SecretString>,
    now: OffsetDateTime,
) -> Result<BTreeMap<SecretName, SecretString>> {
    check_chosen(stack, chosen)?;
    let mut made = BTreeMap::new();
    for spec in &stack.secrets {
        let value = match chosen.get(&spec.name) {
            Some(value) => value.clone(),
            None => generate(&spec.generator, &made, now)?,
        };
        made.insert(spec.name.clone(), value);
    }
    Ok(made)
}

/// Checks that a stack declares a secret.
///
/// # Errors
/// `InvalidInput` listing those that it has.
pub(crate) fn check_known(stack: &StackSpec, field: &str, name: &SecretName) -> Result<()> {
    if stack.secrets.iter().any(|spec| spec.name == *name) {
        return Ok(());
    }
    let known: Vec<_> = stack.secrets.iter().map(|spec| spec.name.as_str()).collect();
    let problem = format_args!("stack {} has no secret {name:?}: it has {}", stack.name, known.join(", "));
    Err(Error::invalid(field, problem))
}

/// Checks secrets that a caller chose.
///
/// # Errors
/// `InvalidInput` naming the secret, never its value.
pub(crate) fn check_chosen(stack: &StackSpec, chosen: &BTreeMap<SecretName, SecretString>) -> Result<()> {
    for (name, value) in chosen {
        check_known(stack, "secrets", name)?;
        let text = value.expose_secret();
        if text.is_empty() || text.len() > MAX_CHOSEN || text.chars().any(char::is_control) {
            return Err(Error::invalid(
                &format!("secrets.{name}"),
                format_args!("is not 1 to {MAX_CHOSEN} bytes of text without control characters"),
            ));
        }
    }
    Ok(())
}

fn generate(
    generator: &SecretGenerator,
    made: &BTreeMap<SecretName, SecretString>,
    now: OffsetDateTime,
) -> Result<SecretString> {
    match generator {
        SecretGenerator::Token { length } => token(*length),
        SecretGenerator::Hex { bytes } => {
            Ok(random(*bytes)?.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
        }
        SecretGenerator::Base64 { bytes } => Ok(STANDARD.encode(&*random(*bytes)?).into()),
        SecretGenerator::Jwt { key, claims, days } => tokens::jwt(source(made, key)?, claims, *days, now),
        SecretGenerator::EcKey => tokens::ec_key(),
        SecretGenerator::SigningKeys { keys } => {
            tokens::signing_keys(&keys.iter().map(|key| source(made, key)).collect::<Result<Vec<_>>>()?)
        }
        SecretGenerator::VerifyingKeys { keys } => {
            tokens::verifying_keys(&keys.iter().map(|key| source(made, key)).collect::<Result<Vec<_>>>()?)
        }
        SecretGenerator::ApiKey { prefix, label } => tokens::api_key(prefix, label),
    }
}

/// A secret that another is made from.
fn source<'a>(made: &'a BTreeMap<SecretName, SecretString>, name: &SecretName) -> Result<&'a SecretString> {
    made.get(name).ok_or_else(|| {
        Error::internal(format!("make a secret: {name}, which it is made from, was not made before"))
    })
}

/// Letters and digits, each as likely as the other.
fn token(length: usize) -> Result<SecretString> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    // A first draw tells whether the system gives randomness at all; `unwrap_err` then panics only if it ceases to.
    random(1)?;
    let mut rng = OsRng.unwrap_err();
    let text: String =
        (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect();
    Ok(text.into())
}

/// HMAC-SHA256 (RFC 2104).
pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(data).finalize().into_bytes().into()
}

/// Random bytes from the operating system.
pub(crate) fn random(bytes: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; bytes]);
    fill_random(&mut buffer)?;
    Ok(buffer)
}

/// Fills a buffer with randomness from the operating system.
pub(crate) fn fill_random(buffer: &mut [u8]) -> Result<()> {
    OsRng
        .try_fill_bytes(buffer)
        .map_err(|error| Error::new(Kind::Unavailable, "get randomness from the system").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{SecretSpec, tests::stack};

    fn name(text: &str) -> SecretName {
        SecretName::new(text).unwrap()
    }

    fn declared() -> StackSpec {
        let mut stack = stack(&[("db", true)]);
        let claims = BTreeMap::from([("role".to_owned(), "anon".into())]);
        stack.secrets = vec![
            SecretSpec { name: name("password"), generator: SecretGenerator::Token { length: 32 } },
            SecretSpec { name: name("key"), generator: SecretGenerator::Hex { bytes: 16 } },
            SecretSpec {
                name: name("anon"),
                generator: SecretGenerator::Jwt { key: name("key"), claims, days: 1 },
            },
        ];
        stack
    }

    fn made(chosen: &[(&str, &str)]) -> Result<BTreeMap<SecretName, SecretString>> {
        let chosen = chosen.iter().map(|(key, value)| (name(key), SecretString::from(*value))).collect();
        make(&declared(), &chosen, OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn no_two_projects_get_the_same_secrets() {
        let (one, two) = (made(&[]).unwrap(), made(&[]).unwrap());
        for secret in ["password", "key", "anon"].map(name) {
            assert_ne!(one[&secret].expose_secret(), two[&secret].expose_secret(), "{secret}");
        }
        let password = one[&name("password")].expose_secret();
        assert!(password.len() == 32 && password.bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_callers_choice_is_taken_and_signs_what_derives_from_it() {
        let one = made(&[("key", "chosen-by-the-caller")]).unwrap();
        let two = made(&[("key", "chosen-by-the-caller")]).unwrap();
        assert_eq!(one[&name("key")].expose_secret(), "chosen-by-the-caller");
        assert_eq!(one[&name("anon")].expose_secret(), two[&name("anon")].expose_secret());
    }

    #[test]
    fn a_choice_that_the_stack_does_not_know_lists_what_it_knows_and_shows_no_value() {
        let error = made(&[("pasword", "hunter2")]).unwrap_err().to_string();
        assert!(error.contains("pasword") && error.contains("password, key, anon"), "{error}");
        assert!(!error.contains("hunter2"));
        assert!(!made(&[("password", "hunter\n2")]).unwrap_err().to_string().contains("hunter"));
    }

    #[test]
    fn hmac_agrees_with_the_standards_test_vector() {
        // RFC 4231, test case 2.
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
