//! Keys: paths of printable parts.

use std::fmt;

/// A key, or a prefix of keys: ASCII letters, digits and `-._:@`, in parts divided by `/`. At most 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// A key that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {0:?}: accepted are 1 to 512 bytes of letters, digits, and -._:@ in parts divided by /")]
pub struct KeyError(String);

impl Key {
    /// Parses a key or prefix.
    ///
    /// # Errors
    /// [`KeyError`] if it has other characters, an empty part in the middle, or the wrong length.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:@/".contains(&b);
        let good = !text.is_empty()
            && text.len() <= 512
            && text.bytes().all(allowed)
            && !text.starts_with('/')
            && !text.contains("//");
        if good { Ok(Self(text)) } else { Err(KeyError(text)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For backends with range scans: the first text after every text that begins with this key.
    pub fn prefix_end(&self) -> String {
        let mut end = self.0.clone();
        if let Some(last) = end.pop() {
            // Keys are ASCII below `{`, so the next character always exists and sorts right after.
            end.push(char::from(last as u8 + 1));
        }
        end
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
