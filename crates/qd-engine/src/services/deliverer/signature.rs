//! Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body, one for each secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use serde::{Deserialize, Deserializer};

const PREFIX: &str = "whsec_";
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;
/// Signatures looked at, at most: whoever sends more is no sender of ours.
const SIGNATURES_MAX: usize = 10;

/// A key that signs. Prints as `[redacted]`.
#[derive(Clone)]
pub struct SigningSecret(hmac::Key);

/// A text that is no signing secret. It does not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a signing secret is `whsec_` and 24 to 64 bytes in base64; `openssl rand -base64 32` makes the second part"
)]
pub struct InvalidSecret;

impl SigningSecret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64.decode(encoded).map_err(|_| InvalidSecret)?;
        if !(BYTES_MIN..=BYTES_MAX).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl SigningSecret {
    /// How a secret of these bytes is written.
    #[must_use]
    pub fn text_of(bytes: &[u8]) -> String {
        format!("{PREFIX}{}", BASE64.encode(bytes))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for SigningSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The header `webhook-signature`: one signature for each secret.
pub(crate) fn sign(secrets: &[SigningSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let content = content(id, &timestamp.to_string(), body);
    let signatures = secrets.iter().map(|SigningSecret(key)| {
        let tag = hmac::sign(key, &content);
        format!("v1,{}", BASE64.encode(tag.as_ref()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// The headers of a webhook, as they came.
#[derive(Debug, Clone, Copy)]
pub struct WebhookHeaders<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The time is none, or more than five minutes off.
    #[error("its time is none, or more than five minutes off")]
    Time,
    /// No signature is one of the secret's.
    #[error("no signature is one of this secret's")]
    Signature,
}

/// How far the sender's clock may be from ours, in seconds.
const TOLERANCE: u64 = 300;

/// Whether a webhook came from whoever knows the secret, lately. `now` is in seconds since 1970.
///
/// # Errors
/// If it is not to be believed.
pub fn verify(
    secret: &SigningSecret,
    headers: &WebhookHeaders<'_>,
    body: &[u8],
    now: i64,
) -> Result<(), Unverified> {
    let sent: i64 = headers.timestamp.parse().map_err(|_| Unverified::Time)?;
    if sent.abs_diff(now) > TOLERANCE {
        return Err(Unverified::Time);
    }
    let content = content(headers.id, headers.timestamp, body);
    let given = headers.signature.split(' ').take(SIGNATURES_MAX).filter_map(|one| one.strip_prefix("v1,"));
    // In constant time: how much of it is right tells nothing.
    let is_right = |tag: Vec<u8>| hmac::verify(&secret.0, &content, &tag).is_ok();
    let right = given.filter_map(|one| BASE64.decode(one).ok()).any(is_right);
    if right { Ok(()) } else { Err(Unverified::Signature) }
}

#[cfg(test)]
mod tests {
    use super::{SigningSecret, Unverified, WebhookHeaders, sign, verify};

    /// The example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::parse(text).unwrap()
    }

    fn headers<'a>(time: &'a str, signature: &'a str) -> WebhookHeaders<'a> {
        WebhookHeaders { id: ID, timestamp: time, signature }
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        assert_eq!(sign(&[secret(SECRET)], ID, TIME, BODY), SIGNATURE);
    }

    #[test]
    fn during_a_rotation_either_secret_is_enough() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let signed = sign(&[secret(other), secret(SECRET)], ID, TIME, BODY);
        assert!(signed.ends_with(SIGNATURE) && signed.starts_with("v1,"));
        for known in [SECRET, other] {
            let time = TIME.to_string();
            assert_eq!(verify(&secret(known), &headers(&time, &signed), BODY, TIME), Ok(()));
        }
    }

    #[test]
    fn what_was_changed_is_old_or_is_signed_by_somebody_else_is_not_believed() {
        let time = TIME.to_string();
        let known = secret(SECRET);
        let check = |time: &str, signature: &str, body: &[u8], now| {
            verify(&known, &headers(time, signature), body, now)
        };
        assert_eq!(check(&time, SIGNATURE, BODY, TIME + 300), Ok(()));
        assert_eq!(check(&time, SIGNATURE, BODY, TIME + 301), Err(Unverified::Time));
        assert_eq!(check(&time, SIGNATURE, BODY, TIME - 301), Err(Unverified::Time));
        assert_eq!(check("soon", SIGNATURE, BODY, TIME), Err(Unverified::Time));
        assert_eq!(check(&i64::MIN.to_string(), SIGNATURE, BODY, TIME), Err(Unverified::Time));
        let later = (TIME + 1).to_string();
        for (time, signature, body) in [
            (time.as_str(), SIGNATURE, &b"{}"[..]),
            (&later, SIGNATURE, BODY),
            (&time, "", BODY),
            (&time, "v1,", BODY),
            (&time, "v1,AAAA", BODY),
            (&time, &SIGNATURE[3..], BODY),
            (&time, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY),
        ] {
            assert_eq!(check(time, signature, body, TIME), Err(Unverified::Signature), "{signature}");
        }
    }

    #[test]
    fn secrets_are_long_enough_and_never_shown() {
        for text in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!"] {
            let error = SigningSecret::parse(text).unwrap_err().to_string();
            assert!(error.contains("whsec_") && (text.len() < 7 || !error.contains(text)), "{error}");
        }
        assert_eq!(format!("{:?}", secret(SECRET)), "[redacted]");
    }
}
