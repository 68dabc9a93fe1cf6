//! Tests of migration: all steps or none, and records are kept.

use super::*;

const NEXT: &str = "ALTER TABLE record ADD COLUMN note TEXT NOT NULL DEFAULT 'old'";

fn old_database() -> Connection {
    let mut connection = Connection::open_in_memory().expect("opened");
    migrate(&mut connection, STEPS).expect("made");
    connection.execute("INSERT INTO record VALUES (1, 'a', x'01', 7)", []).expect("written");
    connection
}

#[test]
fn an_older_database_gets_the_steps_it_lacks_and_keeps_its_records() {
    let mut connection = old_database();
    let steps = [STEPS, &[NEXT]].concat();
    migrate(&mut connection, &steps).expect("migrated");
    assert_eq!(version(&connection).expect("a version"), STEPS.len() + 1);
    let kept: (String, i64, String) = connection
        .query_row("SELECT key, revision, note FROM record", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("kept");
    assert_eq!(kept, ("a".to_owned(), 7, "old".to_owned()));
    migrate(&mut connection, &steps).expect("nothing to do");
}

#[test]
fn a_failing_step_leaves_the_database_as_it_was() {
    let mut connection = old_database();
    let steps = [STEPS, &[NEXT, "CREATE TABLE nonsense ("]].concat();
    migrate(&mut connection, &steps).expect_err("the last step is wrong");
    assert_eq!(version(&connection).expect("a version"), STEPS.len());
    connection.query_row("SELECT note FROM record", [], |_| Ok(())).expect_err("the first step was undone");
}

#[test]
fn a_newer_database_and_a_foreign_one_are_refused() {
    let connection = old_database();
    let path = Path::new("control.db");
    check(&connection, path).expect("ours");
    connection.execute("UPDATE meta SET value = 99 WHERE name = 'schema'", []).expect("made newer");
    let error = check(&connection, path).expect_err("newer");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.detail.contains("schema version 99") && error.detail.contains("newer release"), "{error}");

    let foreign = Connection::open_in_memory().expect("opened");
    foreign.execute_batch("CREATE TABLE meta (name TEXT)").expect("made");
    assert_eq!(check(&foreign, path).expect_err("foreign").kind, ErrorKind::Corrupt);
}
