//! The cases of policies that come with definitions, and of what tells of policies.

use crate::cases::*;

pub fn policies_in_definitions() -> Vec<Case> {
    vec![
        needs(
            MASK,
            "CREATE TABLE d.s.{c}t (a INT WITH MASKING POLICY d.s.{o}mp)",
            &[&["CREATE TABLE ON SCHEMA d.s", "APPLY ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(
            MASK,
            "CREATE VIEW d.s.{c}v (a WITH MASKING POLICY d.s.{o}mp) AS SELECT 1::INT",
            &[&["CREATE VIEW ON SCHEMA d.s", "APPLY ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(
            MASK_AND_TABLE,
            "ALTER TABLE d.s.{o}t ADD COLUMN IF NOT EXISTS m INT WITH MASKING POLICY d.s.{o}mp",
            &[&["APPLY ON MASKING POLICY d.s.{o}mp", "OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(
            ROWS,
            "CREATE TABLE d.s.{c}t (a INT) WITH ROW ACCESS POLICY d.s.{o}rp ON (a)",
            &[&["CREATE TABLE ON SCHEMA d.s", "APPLY ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        needs(
            ROWS,
            "CREATE VIEW d.s.{c}v (a) WITH ROW ACCESS POLICY d.s.{o}rp ON (a) AS SELECT 1::INT",
            &[&["CREATE VIEW ON SCHEMA d.s", "APPLY ON ROW ACCESS POLICY d.s.{o}rp"]],
        ),
        needs(
            MASK,
            "SELECT * FROM TABLE(d.information_schema.policy_references(policy_name => 'd.s.{o}mp'))",
            &[&["APPLY ON MASKING POLICY d.s.{o}mp"], &["OWNERSHIP ON MASKING POLICY d.s.{o}mp"]],
        ),
        needs(
            TABLE,
            "SELECT * FROM TABLE(d.information_schema.policy_references(ref_entity_name => 'd.s.{o}t', ref_entity_domain => 'table'))",
            &[&["OWNERSHIP ON TABLE d.s.{o}t"]],
        ),
        needs(SCHEMA, "SELECT GET_DDL('schema', 'd.{o}s')", &[&["ANY ON SCHEMA d.{o}s"]]),
        needs(DATABASE, "SELECT GET_DDL('database', '{o}db')", &[&["ANY ON DATABASE {o}db"]]),
        needs(
            FORMAT,
            "SELECT GET_DDL('file_format', 'd.s.{o}ff')",
            &[&["ANY ON FILE FORMAT d.s.{o}ff"]],
        ),
    ]
}
