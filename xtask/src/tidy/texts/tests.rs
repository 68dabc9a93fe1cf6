use super::*;

#[test]
fn every_machine_path_is_found() {
    for (first, second) in MACHINE_PATHS {
        let text = format!("fine\nlet path = \"{first}{second}main\";\n");
        let findings = check("docs/x.md", &text);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, Some(2));
    }
}

#[test]
fn every_registry_host_is_found() {
    for (first, second) in REGISTRY_HOSTS {
        let findings = check("scripts/x.sh", &format!("curl {first}{second}/y\n"));
        assert_eq!(findings.len(), 1, "{findings:?}");
    }
}

#[test]
fn a_longer_path_is_another_path() {
    let (first, second) = MACHINE_PATHS[0];
    assert_eq!(check("docs/x.md", &format!("pre{first}{second}x ${{DIR}}{first}{second}x\n")), []);
}

#[test]
fn the_lock_file_is_cargos() {
    let (first, second) = REGISTRY_HOSTS[0];
    assert_eq!(check("Cargo.lock", &format!("{first}{second}")), []);
}
