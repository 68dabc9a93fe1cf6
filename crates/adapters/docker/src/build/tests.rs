//! Tests of the choice of package sources. The build itself is tested with a real Docker, beside the crate.

use super::*;

const STANZAS: &str = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
    Components: main\n\nTypes: deb\nURIs: https://deb.nodesource.com/node_20.x\nSuites: nodistro\nComponents: main\n\n\
    Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm\n";

#[test]
fn only_the_releases_own_stanzas_are_taken() {
    let kept = relevant(STANZAS, "bookworm", false);
    assert!(kept.contains("mirror.example") && !kept.contains('#'), "{kept}");
    assert!(!kept.contains("nodesource") && !kept.contains("off.example"), "{kept}");
    assert_eq!(relevant(STANZAS, "trixie", false), "");
}

#[test]
fn only_the_releases_own_lines_are_taken() {
    let text = "deb http://mirror.example/debian bookworm main\n# deb http://x bookworm main\n\
        deb https://packages.cloud.google.com/apt cloud-sdk-bookworm main\ndeb-src http://x bookworm main\n\
        deb http://security.debian.org/debian-security bookworm-security main\n";
    let kept = relevant(text, "bookworm", true);
    assert_eq!(kept.lines().count(), 2, "{kept}");
    assert!(kept.contains("bookworm-security"));
}

#[test]
fn programs_outside_the_usual_places_are_found() {
    assert_eq!(recipe("postgresql", "15").programs.as_deref(), Some("/usr/lib/postgresql/15/bin"));
    assert!(recipe("valkey", "8").programs.is_none());
}
