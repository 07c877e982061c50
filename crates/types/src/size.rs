//! Sizes in bytes, and how people write them.

/// 2^10 bytes.
pub const KIB: u64 = 1 << 10;
/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;
/// 2^30 bytes.
pub const GIB: u64 = 1 << 30;

/// Prints a size with the largest binary unit that keeps it at 1 or more, one decimal where not whole.
pub fn display(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];
    for (unit, scale) in UNITS {
        if bytes >= scale {
            return if bytes.is_multiple_of(scale) {
                format!("{} {unit}", bytes / scale)
            } else {
                format!("{}.{} {unit}", bytes / scale, bytes % scale * 10 / scale)
            };
        }
    }
    format!("{bytes} B")
}

/// Reads `20G`, `1.5 GiB`, `512M`, `4096`: binary units, optional `i` and `B`.
///
/// # Errors
/// The text itself, when it is not a size or does not fit 64 bits.
pub fn parse(text: &str) -> Result<u64, String> {
    let fail = || format!("`{text}` is not a size: write a number with K, M, G or T, such as 20G");
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let scale: u64 = match unit.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => KIB,
        "m" => MIB,
        "g" => GIB,
        "t" => 1 << 40,
        _ => return Err(fail()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| fail())?;
    let mut bytes = whole.checked_mul(scale).ok_or_else(fail)?;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).map_err(|_| fail())?;
        let numerator: u64 = fraction.parse().map_err(|_| fail())?;
        let denominator = 10_u64.checked_pow(digits).ok_or_else(fail)?;
        let part = u128::from(numerator) * u128::from(scale) / u128::from(denominator);
        bytes = u64::try_from(part).ok().and_then(|part| bytes.checked_add(part)).ok_or_else(fail)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("20G", 20 * GIB),
            ("1.5 GiB", 3 * GIB / 2),
            ("512MB", 512 * MIB),
            ("4096", 4096),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "1.G2", "-1", "99999999999T", "1e3", "1..2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_the_largest_unit() {
        assert_eq!(display(20 * GIB), "20 GiB");
        assert_eq!(display(3 * GIB / 2), "1.5 GiB");
        assert_eq!(display(12), "12 B");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,24}") {
            let _ = parse(&text);
        }
    }
}
