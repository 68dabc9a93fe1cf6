//! Sizes: what is read, what is refused and why.

use super::*;

#[test]
fn numbers_and_units() {
    assert_eq!("10".parse(), Ok(Size::bytes(10)));
    assert_eq!("10 GiB".parse(), Ok(Size::bytes(10 << 30)));
    assert_eq!("3mib".parse(), Ok(Size::bytes(3 << 20)));
    assert_eq!(Size::parse("100", 1 << 30), Ok(Size::bytes(100 << 30)));
    assert_eq!(Size::parse("512MiB", 1 << 30), Ok(Size::bytes(512 << 20)));
}

#[test]
fn refusals_say_what_is_wrong_and_what_is_accepted() {
    for (text, problem) in [
        ("-1", "is negative"),
        ("", "does not begin with a number"),
        ("ten", "does not begin with a number"),
        ("10GB", "unit that is not known"),
        ("1.5GiB", "unit that is not known"),
        ("99999999999999999999", "is too large"),
        ("18446744073709551615KiB", "is too large"),
    ] {
        let error = text.parse::<Size>().expect_err(text).to_string();
        assert!(error.contains(problem), "{error}");
        assert!(error.contains("accepted: "), "{error}");
    }
}

#[test]
fn json_takes_numbers_and_text_and_gives_numbers() {
    assert_eq!(serde_json::from_str::<Size>("7").expect("number"), Size::bytes(7));
    assert_eq!(serde_json::from_str::<Size>("\"1KiB\"").expect("text"), Size::bytes(1024));
    assert_eq!(serde_json::to_string(&Size::bytes(1024)).expect("writes"), "1024");
    for bad in ["-1", "1.5", "true", "\"-3\"", "1e40"] {
        let error = serde_json::from_str::<Size>(bad).expect_err(bad).to_string();
        assert!(error.contains("GiB"), "{bad}: {error}");
    }
}
