//! Tests of the rules for keys.

use super::*;

#[test]
fn accepts_parts_of_the_allowed_characters() {
    let longest = "k".repeat(512);
    for good in ["a", "services/orders", "a-b.c_d:e@f/G9", "folder/", "..", longest.as_str()] {
        assert_eq!(Key::new(good).expect("accepted").as_str(), good);
    }
}

#[test]
fn refuses_everything_else_and_says_what_is_accepted() {
    let long = "k".repeat(513);
    for bad in ["", "/", "/a", "a//b", "a b", "a\0b", "ä", "a*", "a%", "a\n", "a~", long.as_str()] {
        let error = Key::new(bad).expect_err(bad).to_string();
        assert!(error.contains("accepted are 1 to 512 bytes"), "{error}");
    }
}

#[test]
fn the_end_of_a_prefix_is_after_its_keys_and_before_all_later_ones() {
    let prefix = Key::new("a/b").expect("good");
    let end = prefix.prefix_end();
    assert!(end.as_str() > "a/b" && end.as_str() > "a/bzzz/z" && end.as_str() <= "a/c");
    assert!(Key::new("z").expect("good").prefix_end().as_str() > "zzzz");
}
