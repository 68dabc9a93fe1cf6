//! Flags as Go reads them.

use super::*;

fn parse(line: &str) -> Result<Flags, String> {
    Flags::parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
}

#[test]
fn one_dash_or_two_with_equals_or_a_space() {
    for line in ["-op=x -service-name=a", "--op x --service-name a", "-op x -service=a", "--service a -op=x"] {
        let flags = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!((flags.text("op"), flags.text("service-name")), (Some("x"), Some("a")), "{line}");
    }
    assert_eq!(parse("-op=a=b").expect("fine").text("op"), Some("a=b"));
    assert_eq!(parse("-op=a -op=b").expect("fine").text("op"), Some("b"));
    assert_eq!(parse("-passwd -x").expect("a value may begin with a dash").text("passwd"), Some("-x"));
}

#[test]
fn switches_stand_alone() {
    let flags = parse("-tls-enabled -op=x -volume-encrypted=false").expect("fine");
    assert!(flags.is_on("tls-enabled") && !flags.is_on("volume-encrypted"));
    assert_eq!(flags.text("op"), Some("x"));
    assert!(parse("-h").expect("fine").help && parse("--help").expect("fine").help);
    assert!(parse("-tls-enabled=maybe").expect_err("refused").contains("true and false"));
}

#[test]
fn what_is_wrong_is_said() {
    assert!(parse("-bogus=1").expect_err("refused").contains("no flag -bogus"));
    assert!(parse("create").expect_err("refused").contains("-name=value"));
    assert!(parse("-op").expect_err("refused").contains("needs a value"));
    assert!(parse("-").is_err() && parse("--").is_err());
    assert!(parse("-replicas=-1").expect("read").number("replicas").expect_err("refused").contains("whole numbers"));
}

#[test]
fn no_flag_is_listed_twice_and_help_names_what_is_used() {
    let all: Vec<_> = SWITCHES.iter().chain(&UNUSED).copied().chain(USED.iter().map(|(name, _)| *name)).collect();
    let once: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(once.len(), all.len());
    let help = help();
    assert!(USED.iter().all(|(name, _)| help.contains(&format!("-{name} "))));
    assert!(help.contains("scale-service           not in this release"), "{help}");
}
