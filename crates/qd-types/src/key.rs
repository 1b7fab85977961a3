//! API keys as texts: `qd_live_`, an id of 8 characters, `_`, a secret of 43, a checksum of 6, all letters and digits.
//!
//! The checksum tells a slip of the finger from an unknown key without any look-up, and the fixed shape lets scanners
//! find keys that were committed somewhere. Who a key belongs to, and whether it is good, is known to the store alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What every key begins with.
pub const KEY_PREFIX: &str = "qd_live_";

const ID_CHARS: usize = 8;
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// Where the secret begins, and what it covers: the checksum is of everything before it.
const SECRET_AT: usize = KEY_PREFIX.len() + ID_CHARS + 1;
const CHECKSUM_AT: usize = SECRET_AT + SECRET_CHARS;
const KEY_CHARS: usize = CHECKSUM_AT + CHECKSUM_CHARS;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public part of a key: names it in lists, logs and requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_CHARS]);

impl KeyId {
    /// The id that some random bytes make.
    #[must_use]
    pub fn from_random(bytes: [u8; 6]) -> Self {
        Self(base62(&bytes))
    }

    /// The id that a text is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID_CHARS] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters and digits, by every constructor")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A whole key with its secret. It is shown to people once and never stored; `Debug` leaves the secret out.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedKey {
    /// It begins with something else.
    Prefix,
    /// It is too long, too short, or has characters that no key has.
    Shape,
    /// A character is wrong, or some are swapped.
    Checksum,
}

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "is no key of this server: those begin with `qd_live_`",
            Self::Shape => "is not as long as a key or has characters that no key has; copy it again, whole",
            Self::Checksum => "has a wrong character somewhere: its checksum does not fit; copy it again",
        })
    }
}

impl std::error::Error for MalformedKey {}

impl ApiKey {
    /// The key of an id and 32 random bytes.
    #[must_use]
    pub fn new(id: KeyId, secret: &[u8; 32]) -> Self {
        let secret: [u8; SECRET_CHARS] = base62(secret);
        let secret = std::str::from_utf8(&secret).expect("base 62 is ASCII");
        let text = format!("{KEY_PREFIX}{id}_{secret}");
        let checksum = checksum(text.as_bytes());
        let checksum = std::str::from_utf8(&checksum).expect("base 62 is ASCII");
        Self(text + checksum)
    }

    /// The key that a text is, as far as the text itself tells.
    ///
    /// # Errors
    /// What is wrong with it; never a part of it.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        Self::id_of(text)?;
        Ok(Self(text.to_owned()))
    }

    /// The public part of a text that is a key; the same checks as [`ApiKey::parse`], without a copy.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn id_of(text: &str) -> Result<KeyId, MalformedKey> {
        let Some(rest) = text.strip_prefix(KEY_PREFIX) else { return Err(MalformedKey::Prefix) };
        let bytes = text.as_bytes();
        if bytes.len() != KEY_CHARS || bytes[SECRET_AT - 1] != b'_' {
            return Err(MalformedKey::Shape);
        }
        if !bytes[SECRET_AT..].iter().all(u8::is_ascii_alphanumeric) {
            return Err(MalformedKey::Shape);
        }
        let id = rest.get(..ID_CHARS).and_then(KeyId::parse).ok_or(MalformedKey::Shape)?;
        if checksum(&bytes[..CHECKSUM_AT])[..] != bytes[CHECKSUM_AT..] {
            return Err(MalformedKey::Checksum);
        }
        Ok(id)
    }

    /// Its public part.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::parse(&self.0[KEY_PREFIX.len()..SECRET_AT - 1]).expect("checked when it was made")
    }

    /// The whole of it: a secret.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_PREFIX}{}_[redacted]", self.id())
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_CHARS] {
    base62(&crc32fast::hash(bytes).to_be_bytes())
}

/// A big-endian number in base 62. The output must have room for it.
fn base62<const IN: usize, const OUT: usize>(number: &[u8; IN]) -> [u8; OUT] {
    let mut rest = *number;
    let mut digits = [DIGITS[0]; OUT];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut rest {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("a quotient below 256, as the remainder was below 62");
            remainder = value % 62;
        }
        *digit = DIGITS[remainder as usize];
    }
    digits
}

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a key may be used for. The list is closed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Scope {
            $($(#[$doc])* $name,)*
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word used in the API and on the command line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

scopes! {
    /// Read jobs, their events and their journals.
    JobsRead = "jobs:read",
    /// Make jobs, cancel them and run them again.
    JobsWrite = "jobs:write",
    /// Read crews.
    CrewsRead = "crews:read",
    /// Publish crews.
    CrewsWrite = "crews:write",
    /// Read and forget conversations.
    Conversations = "conversations",
    /// Read figures: usage and, for the tenant `default`, those of the whole server.
    Stats = "stats",
    /// Everything, for every tenant: keys, breakers, the audit log. For keys of the tenant `default` only.
    Admin = "admin",
}

/// A word that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownScope;

impl fmt::Display for UnknownScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        write!(f, "is no scope; there are {}", words.join(", "))
    }
}

impl std::error::Error for UnknownScope {}

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(word: &str) -> Result<Self, UnknownScope> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == word).ok_or(UnknownScope)
    }
}

/// A set of scopes. Written as their words with spaces between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// Whether a key with these may be used for something that needs `scope`.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        let bits = Self::from_iter([scope, Scope::Admin]).0;
        self.0 & bits != 0
    }

    /// Whether `scope` itself is one of these.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16) != 0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u16))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;
    fn from_str(words: &str) -> Result<Self, UnknownScope> {
        words.split_whitespace().map(Scope::from_str).collect()
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("is no id of a key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey::new(KeyId::from_random([1, 2, 3, 4, 5, 6]), &[0xa7; 32])
    }

    #[test]
    fn keys_have_the_shape_that_scanners_look_for() {
        for (id, secret) in [([0; 6], [0; 32]), ([0xff; 6], [0xff; 32]), ([9; 6], [0x5c; 32])] {
            let key = ApiKey::new(KeyId::from_random(id), &secret);
            let text = key.reveal();
            assert_eq!(text.len(), 66, "{text}");
            let (id, rest) = text.strip_prefix("qd_live_").unwrap().split_once('_').unwrap();
            assert_eq!((id.len(), rest.len()), (8, 49));
            assert!(id.bytes().chain(rest.bytes()).all(|byte| byte.is_ascii_alphanumeric()), "{text}");
            assert_eq!(ApiKey::parse(text), Ok(key.clone()));
            assert_eq!(ApiKey::id_of(text), Ok(key.id()));
        }
    }

    #[test]
    fn different_secrets_give_different_texts() {
        let of = |last: u8| {
            let mut secret = [0xff; 32];
            secret[31] = last;
            ApiKey::new(KeyId::from_random([1; 6]), &secret)
        };
        let all: std::collections::BTreeSet<String> =
            (0..=255).map(|last| of(last).reveal().to_owned()).collect();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn every_slip_of_the_finger_is_told_from_an_unknown_key() {
        let text = key().reveal().to_owned();
        for at in KEY_PREFIX.len()..text.len() {
            for other in ['a', 'Z', '5'] {
                let mut wrong = text.clone();
                wrong.replace_range(at..=at, &other.to_string());
                if wrong != text {
                    let expected =
                        if at == SECRET_AT - 1 { MalformedKey::Shape } else { MalformedKey::Checksum };
                    assert_eq!(ApiKey::id_of(&wrong), Err(expected), "{wrong}");
                }
            }
        }
        let mut swapped = text.clone().into_bytes();
        swapped.swap(20, 31);
        let swapped = String::from_utf8(swapped).unwrap();
        assert!(swapped == text || ApiKey::id_of(&swapped) == Err(MalformedKey::Checksum));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let text = key().reveal().to_owned();
        for (wrong, why) in [
            (String::new(), MalformedKey::Prefix),
            ("sk-proj-1234".to_owned(), MalformedKey::Prefix),
            ("QD_LIVE_".to_owned(), MalformedKey::Prefix),
            ("qd_live_".to_owned(), MalformedKey::Shape),
            (text[..65].to_owned(), MalformedKey::Shape),
            (format!("{text}x"), MalformedKey::Shape),
            (text.replace('_', "-").replacen("qd-live-", "qd_live_", 1), MalformedKey::Shape),
            (format!("qd_live_{}", "é".repeat(29)), MalformedKey::Shape),
        ] {
            assert_eq!(ApiKey::id_of(&wrong), Err(why), "{wrong}");
        }
    }

    #[test]
    fn secret_is_never_printed() {
        let key = key();
        let shown = format!("{key:?}");
        let secret = &key.reveal()[SECRET_AT..];
        assert!(shown.contains("[redacted]") && !shown.contains(&secret[..6]), "{shown}");
    }

    #[test]
    fn scopes_are_written_and_read_and_admin_allows_all() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert!(Scopes::from_iter([Scope::Admin]).allow(*scope));
            assert_eq!(Scopes::from_iter([*scope]).allow(Scope::Admin), *scope == Scope::Admin);
        }
        let some: Scopes = "jobs:write jobs:read".parse().unwrap();
        assert_eq!(some.to_string(), "jobs:read jobs:write");
        assert!(some.allow(Scope::JobsRead) && !some.allow(Scope::Conversations));
        assert_eq!("jobs:all".parse::<Scopes>(), Err(UnknownScope));
        assert!("".parse::<Scopes>().unwrap().is_empty());
    }
}
