//! Sizes on the wire: a number of bytes, or text with a unit.

use std::fmt;
use std::str::FromStr;

use om_model::ByteSize;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{PartialSchema, ToSchema};

/// What a size may look like, for error messages.
pub const ACCEPTED: &str =
    "a number of bytes, or a whole number with one of the units B, KiB, MiB, GiB, TiB (\"100GiB\")";

/// A size: bytes in answers; in requests also text such as `"100GiB"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Size(u64);

/// Text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {problem}; accepted: {ACCEPTED}")]
pub struct SizeError {
    text: String,
    problem: &'static str,
}

const UNITS: [(&str, u32); 5] = [("b", 0), ("kib", 10), ("mib", 20), ("gib", 30), ("tib", 40)];

impl Size {
    /// Exactly `n` bytes.
    pub const fn bytes(n: u64) -> Self {
        Self(n)
    }

    /// `n` gibibytes; `None` where that overflows.
    pub fn gib(n: u64) -> Option<Self> {
        n.checked_mul(1 << 30).map(Self)
    }

    /// The number of bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// Parses `text`; a number without a unit counts `default_unit` bytes each.
    ///
    /// # Errors
    /// [`SizeError`] says what is wrong and what is accepted.
    pub fn parse(text: &str, default_unit: u64) -> Result<Self, SizeError> {
        let refuse = |problem| SizeError { text: text.to_owned(), problem };
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        if number.is_empty() {
            let negative = trimmed.starts_with('-');
            return Err(refuse(if negative { "is negative" } else { "does not begin with a number" }));
        }
        let unit = match unit.trim().to_ascii_lowercase() {
            word if word.is_empty() => default_unit,
            word => {
                let known = UNITS.iter().find(|(name, _)| *name == word);
                1 << known.ok_or_else(|| refuse("has a unit that is not known"))?.1
            }
        };
        let number: u64 = number.parse().map_err(|_| refuse("is too large"))?;
        number.checked_mul(unit).map(Self).ok_or_else(|| refuse("is too large"))
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        Self::parse(text, 1)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ByteSize::bytes(self.0).fmt(f)
    }
}

impl From<Size> for ByteSize {
    fn from(size: Size) -> Self {
        Self::bytes(size.0)
    }
}

impl From<ByteSize> for Size {
    fn from(size: ByteSize) -> Self {
        Self(size.as_bytes())
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(ACCEPTED)
            }

            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Size, E> {
                Ok(Size(n))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl PartialSchema for Size {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
            .description(Some(format!("A size: {ACCEPTED}. Answers have bytes.")))
            .into()
    }
}

impl ToSchema for Size {}

#[cfg(test)]
mod tests;
