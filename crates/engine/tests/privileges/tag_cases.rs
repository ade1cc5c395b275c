//! The cases of tags.

use crate::cases::*;

const TAG: &[&str] = &["CREATE TAG d.s.{o}tag"];
const TAG_AND_TABLE: &[&str] = &["CREATE TAG d.s.{o}tag", "CREATE TABLE d.s.{o}t (a INT)"];
const TAG_AND_MASK: &[&str] =
    &["CREATE TAG d.s.{o}tag", "CREATE MASKING POLICY d.s.{o}mp AS (v INT) RETURNS INT -> 0"];
const MASKING_TAG: &[&str] = &[
    "CREATE TAG d.s.{o}tag",
    "CREATE MASKING POLICY d.s.{o}mp AS (v INT) RETURNS INT -> 0",
    "ALTER TAG d.s.{o}tag SET MASKING POLICY d.s.{o}mp",
];

pub fn tags() -> Vec<Case> {
    const OWN_TAG: &[&[&str]] = &[&["OWNERSHIP ON TAG d.s.{o}tag"]];
    const TAG_TABLE: &[&[&str]] = &[&["APPLY ON TAG d.s.{o}tag", "OWNERSHIP ON TABLE d.s.{o}t"]];
    vec![
        needs(&[], "CREATE TAG d.s.{c}tag", &[&["CREATE TAG ON SCHEMA d.s"]]),
        needs(TAG, "ALTER TAG d.s.{o}tag RENAME TO d.s.{c}tag", OWN_TAG),
        needs(TAG, "ALTER TAG d.s.{o}tag ADD ALLOWED_VALUES 'x'", OWN_TAG),
        needs(TAG, "ALTER TAG d.s.{o}tag DROP ALLOWED_VALUES 'x'", OWN_TAG),
        needs(TAG, "ALTER TAG d.s.{o}tag UNSET ALLOWED_VALUES", OWN_TAG),
        needs(TAG, "ALTER TAG d.s.{o}tag SET COMMENT = 'c'", OWN_TAG),
        needs(TAG, "COMMENT ON TAG d.s.{o}tag IS 'c'", OWN_TAG),
        needs(TAG, "DROP TAG d.s.{o}tag", OWN_TAG),
        quiet(TAG, "DROP TAG IF EXISTS d.s.{o}tag"),
        needs(
            TAG_AND_MASK,
            "ALTER TAG d.s.{o}tag SET MASKING POLICY d.s.{o}mp",
            &[&["OWNERSHIP ON TAG d.s.{o}tag", "APPLY ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(
            MASKING_TAG,
            "ALTER TAG d.s.{o}tag UNSET MASKING POLICY d.s.{o}mp",
            &[&["OWNERSHIP ON TAG d.s.{o}tag", "APPLY ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(TAG_AND_TABLE, "ALTER TABLE d.s.{o}t SET TAG d.s.{o}tag = 'x'", TAG_TABLE),
        needs(TAG_AND_TABLE, "ALTER TABLE d.s.{o}t UNSET TAG d.s.{o}tag", TAG_TABLE),
        needs(TAG_AND_TABLE, "ALTER TABLE d.s.{o}t ALTER a SET TAG d.s.{o}tag = 'x'", TAG_TABLE),
        needs(
            &["CREATE TAG d.s.{c}tag"],
            "ALTER ACCOUNT SET TAG d.s.{c}tag = 'x'",
            &[&["APPLY TAG ON ACCOUNT"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE TABLE d.s.{c}t (a INT) WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE TABLE ON SCHEMA d.s", "APPLY ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE SCHEMA d.{c}s WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE SCHEMA ON DATABASE d", "APPLY ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE DATABASE {c}db WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE DATABASE ON ACCOUNT", "APPLY ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE STAGE d.s.{c}st WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE STAGE ON SCHEMA d.s", "APPLY ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE WAREHOUSE {c}wh WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE WAREHOUSE ON ACCOUNT", "APPLY ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE ROLE {c}role WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE ROLE ON ACCOUNT", "APPLY ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TAG d.s.{o}tag"],
            "CREATE USER {c}user WITH TAG (d.s.{o}tag = 'x')",
            &[&["CREATE USER ON ACCOUNT", "APPLY ON TAG d.s.{o}tag"]],
        ),
        // The tags of the source go along whoever makes the table.
        needs(
            &["CREATE TAG d.s.{c}tag", "CREATE TABLE d.s.{o}t (a INT) TAG (d.s.{c}tag = 'x')"],
            "CREATE TABLE d.s.{c}t LIKE d.s.{o}t",
            &[&["CREATE TABLE ON SCHEMA d.s", "SELECT ON TABLE d.s.{o}t"]],
        ),
        lists(TAG, "SHOW TAGS IN ACCOUNT", &[&["APPLY ON TAG d.s.{o}tag"]]),
        needs(
            TAG,
            "GRANT APPLY ON TAG d.s.{o}tag TO ROLE public",
            &[MANAGE, &["OWNERSHIP ON TAG d.s.{o}tag"]],
        ),
        needs(
            &["CREATE TABLE d.s.{o}t (a INT)", "CREATE TAG d.s.{c}tag"],
            "SELECT SYSTEM$GET_TAG('d.s.{c}tag', 'd.s.{o}t', 'table')",
            &[&["ANY ON TABLE d.s.{o}t"]],
        ),
        needs(
            &["CREATE TABLE d.s.{o}t (a INT)"],
            "SELECT * FROM TABLE(d.information_schema.tag_references('d.s.{o}t', 'table'))",
            &[&["ANY ON TABLE d.s.{o}t"]],
        ),
    ]
}
