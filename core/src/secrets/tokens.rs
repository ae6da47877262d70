//! Secrets with a form of their own: JSON Web Tokens and Keys, and opaque keys with a check sum.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use p256::{
    SecretKey,
    ecdsa::{Signature, SigningKey, signature::Signer},
    elliptic_curve::sec1::ToEncodedPoint,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{hmac_sha256, random};
use crate::error::{Error, Result};

/// A JSON Web Token in compact form (RFC 7515, section 7.1), signed with ES256 if the key is one of [`ec_key`], else with
/// HS256 (RFC 7518, sections 3.2 and 3.4).
pub(super) fn jwt(
    key: &SecretString,
    claims: &BTreeMap<String, Value>,
    days: u32,
    now: OffsetDateTime,
) -> Result<SecretString> {
    let mut claims = claims.clone();
    let (made, lifetime) = (now.unix_timestamp(), i64::from(days) * 24 * 3600);
    claims.entry("iat".to_owned()).or_insert_with(|| made.into());
    claims.entry("exp".to_owned()).or_insert_with(|| made.saturating_add(lifetime).into());
    let payload = BASE64URL.encode(written(&claims)?);
    let token = match EcKey::read(key)? {
        Some(key) => {
            let header = json!({"alg": "ES256", "kid": key.kid, "typ": "JWT"});
            let signed = format!("{}.{payload}", BASE64URL.encode(written(&header)?));
            let signature: Signature = SigningKey::from(&key.key).sign(signed.as_bytes());
            format!("{signed}.{}", BASE64URL.encode(signature.to_bytes()))
        }
        None => {
            let signed = format!("{}.{payload}", BASE64URL.encode(br#"{"alg":"HS256","typ":"JWT"}"#));
            let signature = hmac_sha256(key.expose_secret().as_bytes(), signed.as_bytes());
            format!("{signed}.{}", BASE64URL.encode(signature))
        }
    };
    Ok(token.into())
}

/// A new P-256 key.
pub(super) fn ec_key() -> Result<SecretString> {
    let key = loop {
        // One in 2^32 is no scalar of the curve.
        if let Ok(key) = SecretKey::from_slice(&random(32)?) {
            break key;
        }
    };
    let mut id = [0; 16];
    id.copy_from_slice(&random(16)?);
    let kid = uuid::Builder::from_random_bytes(id).into_uuid();
    secret(&EcKey { key, kid: kid.to_string() }.private())
}

/// Keys that sign, as an array.
pub(super) fn signing_keys(keys: &[&SecretString]) -> Result<SecretString> {
    let keys =
        keys.iter().map(|key| Ok(EcKey::read(key)?.map_or_else(|| symmetric(key), |key| key.private())));
    secret(&keys.collect::<Result<Value>>()?)
}

/// The keys that verify what those sign, as a set.
pub(super) fn verifying_keys(keys: &[&SecretString]) -> Result<SecretString> {
    let keys =
        keys.iter().map(|key| Ok(EcKey::read(key)?.map_or_else(|| symmetric(key), |key| key.public())));
    secret(&json!({"keys": keys.collect::<Result<Value>>()?}))
}

/// An opaque key with a check sum.
pub(super) fn api_key(prefix: &str, label: &str) -> Result<SecretString> {
    let key = format!("{prefix}{}", BASE64URL.encode(&*random(16)?));
    let sum = BASE64URL.encode(Sha256::digest(format!("{label}|{key}")));
    Ok(format!("{key}_{}", &sum[..8]).into())
}

/// A P-256 key with its name.
struct EcKey {
    key: SecretKey,
    kid: String,
}

impl EcKey {
    /// The key that a secret holds; `None` for a secret that is no JSON Web Key.
    fn read(secret: &SecretString) -> Result<Option<Self>> {
        let Ok(jwk) = serde_json::from_str::<Value>(secret.expose_secret()) else { return Ok(None) };
        let (Some("EC"), Some("P-256")) = (jwk["kty"].as_str(), jwk["crv"].as_str()) else { return Ok(None) };
        let wrong =
            || Error::invalid("secrets", "a key for ES256 is no private JSON Web Key of the curve P-256");
        let bytes = jwk["d"].as_str().and_then(|text| BASE64URL.decode(text).ok()).map(Zeroizing::new);
        let key = bytes.and_then(|bytes| SecretKey::from_slice(&bytes).ok()).ok_or_else(wrong)?;
        let kid = jwk["kid"].as_str().ok_or_else(wrong)?.to_owned();
        Ok(Some(Self { key, kid }))
    }

    fn private(&self) -> Value {
        let mut jwk = self.jwk(&["sign", "verify"]);
        jwk["d"] = BASE64URL.encode(*Zeroizing::new(self.key.to_bytes())).into();
        jwk
    }

    fn public(&self) -> Value {
        self.jwk(&["verify"])
    }

    fn jwk(&self, uses: &[&str]) -> Value {
        let point = self.key.public_key().to_encoded_point(false);
        let coordinate =
            |bytes: Option<&p256::FieldBytes>| BASE64URL.encode(bytes.map_or(&[][..], |bytes| bytes));
        json!({
            "kty": "EC",
            "crv": "P-256",
            "x": coordinate(point.x()),
            "y": coordinate(point.y()),
            "kid": self.kid,
            "use": "sig",
            "key_ops": uses,
            "alg": "ES256",
            "ext": true,
        })
    }
}

/// A secret as a key of HS256.
fn symmetric(secret: &SecretString) -> Value {
    json!({"kty": "oct", "k": BASE64URL.encode(secret.expose_secret()), "alg": "HS256"})
}

fn secret(value: &Value) -> Result<SecretString> {
    let text = serde_json::to_string(value).map_err(|error| Error::internal("write a key").because(error))?;
    Ok(text.into())
}

fn written<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal("write a token").because(error))
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::{VerifyingKey, signature::Verifier};

    use super::*;

    fn parts(token: &SecretString) -> (Value, Value, Vec<u8>, String) {
        let text = token.expose_secret();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let json = |text: &str| serde_json::from_slice(&BASE64URL.decode(text).unwrap()).unwrap();
        (json(header), json(payload), BASE64URL.decode(signature).unwrap(), signed.to_owned())
    }

    fn anon() -> BTreeMap<String, Value> {
        BTreeMap::from([("iss".to_owned(), "me".into()), ("role".to_owned(), "anon".into())])
    }

    #[test]
    fn a_token_of_a_plain_secret_is_the_one_that_openssl_signs() {
        // printf %s HEADER.PAYLOAD | openssl dgst -sha256 -hmac secret -binary | basenc --base64url
        let token = jwt(&"secret".to_owned().into(), &anon(), 1, OffsetDateTime::UNIX_EPOCH).unwrap();
        assert_eq!(token.expose_secret(), EXPECTED);
        let (_, payload, ..) = parts(&token);
        assert_eq!((&payload["iat"], &payload["exp"]), (&json!(0), &json!(86_400)));
    }

    const EXPECTED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjg2NDAwLCJpYXQiOjAsImlzcyI6Im1lIiwicm9sZSI6ImFub24ifQ.JRo5WeOG3HqFs46tcKejD-28mFI7tk5NsvM_MpJxiaU";

    #[test]
    fn a_token_of_an_ec_key_is_verified_by_its_public_half_and_by_no_other() {
        let (one, other) = (ec_key().unwrap(), ec_key().unwrap());
        let (header, payload, signature, signed) =
            parts(&jwt(&one, &anon(), 365, OffsetDateTime::UNIX_EPOCH).unwrap());
        assert_eq!((header["alg"].as_str(), payload["role"].as_str()), (Some("ES256"), Some("anon")));
        let verified = |key: &SecretString| {
            let set: Value = serde_json::from_str(verifying_keys(&[key]).unwrap().expose_secret()).unwrap();
            let key = &set["keys"][0];
            assert!(key.get("d").is_none(), "a public key");
            let field = |name: &str| BASE64URL.decode(key[name].as_str().unwrap()).unwrap();
            let point = [vec![4], field("x"), field("y")].concat();
            let signature = Signature::from_slice(&signature).unwrap();
            let is_good =
                VerifyingKey::from_sec1_bytes(&point).unwrap().verify(signed.as_bytes(), &signature).is_ok();
            (is_good, key["kid"] == header["kid"])
        };
        assert_eq!((verified(&one), verified(&other)), ((true, true), (false, false)));
    }

    #[test]
    fn keys_that_sign_are_private_and_a_plain_secret_is_one_of_them() {
        let (ec, plain) = (ec_key().unwrap(), SecretString::from("plain"));
        let keys: Value =
            serde_json::from_str(signing_keys(&[&ec, &plain]).unwrap().expose_secret()).unwrap();
        assert!(keys[0]["d"].is_string() && keys[0]["key_ops"] == json!(["sign", "verify"]), "{keys}");
        assert_eq!(keys[1], json!({"kty": "oct", "k": "cGxhaW4", "alg": "HS256"}));
    }

    #[test]
    fn an_opaque_key_carries_the_sum_of_what_stands_before_it() {
        let key = api_key("pk_", "label").unwrap();
        let (body, sum) = key.expose_secret().split_at(3 + 22);
        assert!(body.starts_with("pk_"), "{body}");
        let expected = BASE64URL.encode(Sha256::digest(format!("label|{body}")));
        assert_eq!(sum, format!("_{}", &expected[..8]));
    }

    #[test]
    fn a_key_without_its_private_half_is_refused() {
        let public = SecretString::from(r#"{"kty":"EC","crv":"P-256","x":"","y":"","kid":"a"}"#);
        assert!(jwt(&public, &anon(), 1, OffsetDateTime::UNIX_EPOCH).is_err());
    }
}
