//! What PostgreSQL keeps of a password (`pg_authid.rolpassword`), and whether it is that of a password that we know.
//!
//! A SCRAM verifier is `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY` (PostgreSQL's documentation, section 53.8;
//! RFC 5803). Two verifiers of one password differ by their salts, so they are never compared as text: that would set
//! the password anew each time, and break whoever passes the verifier on.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use freehold_core::{ExposeSecret, SecretString};
use hmac::{Hmac, Mac};
use postgres_protocol::password;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// More than anybody sets. Whoever owns the database may write any number there, and we would be at it for hours.
const MOST_ITERATIONS: u32 = 200_000;

/// Whether `stored` is a verifier of the password for that role. Anything that is none is not.
pub(crate) fn matches(stored: &str, role: &str, password: &SecretString) -> bool {
    let password = password.expose_secret();
    if stored.starts_with("md5") {
        return password::md5(password.as_bytes(), role) == stored;
    }
    scram_matches(stored, password).unwrap_or(false)
}

/// A new verifier of the password, so that the server never sees the password itself, nor does its log.
pub(crate) fn make(password: &SecretString) -> SecretString {
    password::scram_sha_256(password.expose_secret().as_bytes()).into()
}

fn scram_matches(stored: &str, password: &str) -> Option<bool> {
    let (head, keys) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|count| (1..=MOST_ITERATIONS).contains(count))?;
    let salt = STANDARD.decode(salt).ok()?;
    let stored_key = STANDARD.decode(keys.split_once(':')?.0).ok()?;
    // As the server does it: a password that SASLprep does not allow is taken as it is.
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let salted = salted(prepared.as_bytes(), &salt, iterations)?;
    let client_key = hmac(&*salted, &[b"Client Key"])?;
    Some(Sha256::digest(client_key).as_slice() == stored_key)
}

/// `Hi` of RFC 5802, section 2.2, which is PBKDF2 with one block.
fn salted(password: &[u8], salt: &[u8], iterations: u32) -> Option<Zeroizing<[u8; 32]>> {
    let keyed = Hmac::<Sha256>::new_from_slice(password).ok()?;
    let next = |parts: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut block = next(&[salt, &1_u32.to_be_bytes()]);
    let mut result = Zeroizing::new(block);
    for _ in 1..iterations {
        block = next(&[&block]);
        result.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    Some(result)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[test]
    fn a_verifier_matches_its_own_password_whatever_its_salt_and_no_other() {
        for password in ["foo", "correct horse battery staple", "Ünïcödé ✓", "it's:a\\\"secret%", "\u{a0}x"]
        {
            let (one, other) = (make(&secret(password)), make(&secret(password)));
            assert_ne!(one.expose_secret(), other.expose_secret());
            assert!(matches(one.expose_secret(), "postgres", &secret(password)), "{password}");
            assert!(matches(other.expose_secret(), "postgres", &secret(password)), "{password}");
            assert!(!matches(one.expose_secret(), "postgres", &secret("another")), "{password}");
        }
    }

    #[test]
    fn verifiers_that_others_made_match() {
        // Salt and password of RFC 7677, section 3; the keys as Python's hashlib has them.
        let pencil = concat!(
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$",
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert!(matches(pencil, "user", &secret("pencil")) && !matches(pencil, "user", &secret("pencils")));
        let md5 = "md5128f0d64bfb424d132c3305b3057281c";
        assert!(matches(md5, "postgres", &secret("foo")));
        assert!(!matches(md5, "other", &secret("foo")), "the role is its salt");
    }

    #[test]
    fn what_is_no_verifier_or_would_take_hours_does_not_match() {
        let made = make(&secret("foo"));
        let endless = made.expose_secret().replacen("4096", "4294967295", 1);
        for stored in ["", "foo", "SCRAM-SHA-256$", "SCRAM-SHA-256$0:$:", "SCRAM-SHA-256$1:!$!:!", &endless] {
            assert!(!matches(stored, "postgres", &secret("foo")), "{stored}");
        }
    }
}
