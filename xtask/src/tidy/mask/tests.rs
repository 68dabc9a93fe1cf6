use super::code_only;

#[track_caller]
fn masked(source: &str, expected: &str) {
    assert_eq!(code_only(source), expected);
}

#[test]
fn comments_go() {
    masked("a // { b\nc", "a       \nc");
    masked("a /* { /* } */ } */ b", "a                   b");
    masked("/// fn {\nfn", "        \nfn");
}

#[test]
fn strings_go() {
    masked(r#"a "{ \" }" b"#, "a          b");
    masked("a \"x\ny\" b", "a   \n   b");
    masked(r##"a r#"{ " }"# b"##, "a            b");
    masked(r##"r"{\" b"##, "      b");
    masked(r##"br#"{"# b"##, "b       b");
}

#[test]
fn characters_go_but_lifetimes_stay() {
    masked("'{' 'a: b", "    'a: b");
    masked(r"'\'' {", "     {");
    masked(r"'\u{7f}' }", "         }");
    masked("&'static str", "&'static str");
    masked("('\"', x)", "(   , x)");
}

#[test]
fn names_stay() {
    masked("r#type for_r var\"x\"", "r#type for_r var   ");
    masked("for \"x\"", "for    ");
}

#[test]
fn what_is_never_closed_ends_with_the_file() {
    masked("/* {", "    ");
    masked("\"{", "  ");
    masked("r#\"{", "    ");
}
