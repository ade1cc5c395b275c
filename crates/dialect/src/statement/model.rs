//! CREATE MODEL and ALTER MODEL.

use frazil_common::UserError;
use sqlparser::tokenizer::Token;

use super::common::comment;
use super::create::CreateHead;
use super::{Statement, file_transfer};
use crate::tokens::Tokens;

use frazil_common::{ObjectName, Position};
use sqlparser::ast::{DataType, Query};

use super::common::CreateMode;
use super::options::{OptionValue, Options};

/// `CREATE MODEL name [WITH VERSION v] USING … AS query`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateModel {
    pub mode: CreateMode,
    pub name: ObjectName,
    pub training: Training,
    pub comment: Option<String>,
}

/// How a version is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// None: the next free name.
    pub version: Option<String>,
    /// Upper case: GBT, LINEAR, LOGISTIC, SVD.
    pub estimator: String,
    pub estimator_position: Position,
    pub target: Option<String>,
    /// Empty: every column of the query except the target and the column of EVALUATE … BY.
    pub features: Vec<String>,
    /// Keys upper case.
    pub options: Options,
    pub evaluate: Option<Evaluation>,
    pub query: Box<Query>,
    /// The query as written; replay and lineage keep it.
    pub query_text: String,
}

/// `EVALUATE (SPLIT 0.2 [BY column])`.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Share of the rows held out, between 0 and 1.
    pub split: f64,
    /// Hold out the rows with the greatest values of this column.
    pub by: Option<String>,
}

/// `CREATE MODEL name [WITH VERSION v] FROM @stage/file FORMAT = … `.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportModel {
    pub mode: CreateMode,
    pub name: ObjectName,
    pub version: Option<String>,
    /// `@stage/path`.
    pub location: String,
    /// XGBOOST, LIGHTGBM or ONNX, upper case; None where a manifest tells.
    pub format: Option<String>,
    pub features: Vec<ModelSignatureColumn>,
    pub classes: Vec<OptionValue>,
    pub target: Option<String>,
    pub options: Options,
    pub comment: Option<String>,
}

/// `name type` of FEATURES.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSignatureColumn {
    pub name: String,
    /// None: FLOAT.
    pub data_type: Option<DataType>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlterModel {
    pub name: ObjectName,
    pub if_exists: bool,
    pub action: AlterModelAction,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterModelAction {
    AddVersion(Box<Training>),
    AddVersionFromFile(Box<ImportModel>),
    SetDefaultVersion(String),
    SetComment(String),
    UnsetComment,
    /// `VERSION v SET ALIAS = a`.
    SetAlias {
        version: String,
        alias: String,
    },
    /// `VERSION v UNSET ALIAS [a]`.
    UnsetAlias {
        version: String,
        alias: Option<String>,
    },
    /// `MODIFY VERSION v SET COMMENT = '…'`, `VERSION v SET COMMENT = '…'`.
    SetVersionComment {
        version: String,
        comment: String,
    },
    DropVersion {
        version: String,
        if_exists: bool,
    },
    RenameTo(ObjectName),
}

pub(super) fn parse_create(
    tokens: &mut Tokens<'_>,
    head: CreateHead,
) -> Result<Statement, UserError> {
    let mut mode = head.mode;
    mode.if_not_exists(tokens);
    let name = tokens.name()?;
    mode.if_not_exists(tokens);
    let version = if tokens.words("WITH VERSION") { Some(version_name(tokens)?) } else { None };
    if tokens.peek_words("USING") {
        let (training, comment) = training(tokens, version)?;
        return Ok(Statement::CreateModel(Box::new(CreateModel { mode, name, training, comment })));
    }
    import(tokens, mode, name, version).map(Statement::ImportModel)
}

/// A version or alias: an identifier, or a string that folds like one.
fn version_name(tokens: &mut Tokens<'_>) -> Result<String, UserError> {
    match tokens.text_literal() {
        Some(text) => Ok(frazil_common::fold_identifier(&text)),
        None => tokens.identifier(),
    }
}

/// `USING estimator … AS query`; the clauses between in any order.
fn training(
    tokens: &mut Tokens<'_>,
    version: Option<String>,
) -> Result<(Training, Option<String>), UserError> {
    tokens.expect_words("USING")?;
    let (estimator, estimator_position) = tokens.placed_identifier()?;
    let (mut target, mut features, mut options) = (None, Vec::new(), Options::default());
    let (mut evaluate, mut text) = (None, None);
    loop {
        if target.is_none() && tokens.words("TARGET") {
            target = Some(tokens.identifier()?);
        } else if features.is_empty() && tokens.words("FEATURES") {
            features = tokens.parenthesized(|tokens| tokens.identifier())?;
        } else if options.is_empty() && tokens.words("OPTIONS") {
            options = Options::parse_parenthesized(tokens)?;
        } else if evaluate.is_none() && tokens.words("EVALUATE") {
            evaluate = Some(evaluation(tokens)?);
        } else if text.is_none() && tokens.peek_words("COMMENT") {
            text = comment(tokens)?;
        } else {
            break;
        }
    }
    tokens.expect_words("AS")?;
    let start = tokens.offset();
    let query = tokens.query()?;
    let query_text = tokens.text_since(start);
    let training = Training {
        version,
        estimator,
        estimator_position,
        target,
        features,
        options,
        evaluate,
        query,
        query_text,
    };
    Ok((training, text))
}

fn evaluation(tokens: &mut Tokens<'_>) -> Result<Evaluation, UserError> {
    tokens.expect(&Token::LParen)?;
    tokens.expect_words("SPLIT")?;
    let split = match &tokens.peek().token {
        Token::Number(text, false) => {
            text.parse::<f64>().ok().filter(|split| *split < 1.0 && *split > 0.0)
        }
        _ => return Err(tokens.unexpected()),
    };
    let Some(split) = split else {
        return Err(tokens.invalid("SPLIT must lie between 0 and 1.", tokens.position()));
    };
    tokens.advance();
    let by = if tokens.words("BY") { Some(tokens.identifier()?) } else { None };
    tokens.expect(&Token::RParen)?;
    Ok(Evaluation { split, by })
}

/// `FROM @stage/file FORMAT = …`.
fn import(
    tokens: &mut Tokens<'_>,
    mode: CreateMode,
    name: ObjectName,
    version: Option<String>,
) -> Result<ImportModel, UserError> {
    tokens.expect_words("FROM")?;
    if tokens.peek_words("MODEL") {
        return Err(tokens.unsupported("CREATE MODEL … FROM MODEL"));
    }
    let location = file_transfer::location(tokens)?;
    let mut import = ImportModel {
        mode,
        name,
        version,
        location,
        format: None,
        features: Vec::new(),
        classes: Vec::new(),
        target: None,
        options: Options::default(),
        comment: None,
    };
    loop {
        if import.format.is_none() && tokens.words("FORMAT") {
            tokens.optional_equals();
            import.format = Some(tokens.identifier_or_text()?.to_uppercase());
        } else if import.features.is_empty() && tokens.words("FEATURES") {
            import.features = tokens.parenthesized(signature_column)?;
        } else if import.classes.is_empty() && tokens.words("CLASSES") {
            import.classes = tokens.parenthesized(OptionValue::parse)?;
        } else if import.target.is_none() && tokens.words("TARGET") {
            import.target = Some(tokens.identifier()?);
        } else if import.options.is_empty() && tokens.words("OPTIONS") {
            import.options = Options::parse_parenthesized(tokens)?;
        } else if import.comment.is_none() && tokens.peek_words("COMMENT") {
            import.comment = comment(tokens)?;
        } else {
            return Ok(import);
        }
    }
}

fn signature_column(tokens: &mut Tokens<'_>) -> Result<ModelSignatureColumn, UserError> {
    let name = tokens.identifier()?;
    let ends = matches!(tokens.peek().token, Token::Comma | Token::RParen);
    let data_type = if ends { None } else { Some(tokens.data_type()?) };
    Ok(ModelSignatureColumn { name, data_type })
}

pub(super) fn parse_alter(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    let if_exists = tokens.words("IF EXISTS");
    let name = tokens.name()?;
    let action = alter_action(tokens, &name)?;
    Ok(Statement::AlterModel(Box::new(AlterModel { name, if_exists, action })))
}

fn alter_action(tokens: &mut Tokens<'_>, name: &ObjectName) -> Result<AlterModelAction, UserError> {
    if tokens.words("ADD VERSION") {
        let bare = tokens.peek_words("USING") || tokens.peek_words("FROM");
        let version = if bare { None } else { Some(version_name(tokens)?) };
        if tokens.peek_words("FROM") {
            let import = import(tokens, CreateMode::default(), name.clone(), version)?;
            return Ok(AlterModelAction::AddVersionFromFile(Box::new(import)));
        }
        let start = tokens.position();
        let (training, comment) = training(tokens, version)?;
        if comment.is_some() {
            return Err(
                tokens.invalid("COMMENT is set on a version by VERSION … SET COMMENT.", start)
            );
        }
        Ok(AlterModelAction::AddVersion(Box::new(training)))
    } else if tokens.words("SET DEFAULT_VERSION") {
        tokens.optional_equals();
        Ok(AlterModelAction::SetDefaultVersion(version_name(tokens)?))
    } else if tokens.words("SET COMMENT") {
        Ok(AlterModelAction::SetComment(tokens.equals_text()?))
    } else if tokens.words("UNSET COMMENT") {
        Ok(AlterModelAction::UnsetComment)
    } else if tokens.words("DROP VERSION") {
        let if_exists = tokens.words("IF EXISTS");
        Ok(AlterModelAction::DropVersion { version: version_name(tokens)?, if_exists })
    } else if tokens.words("RENAME TO") {
        Ok(AlterModelAction::RenameTo(tokens.name()?))
    } else if tokens.one_of(&["MODIFY VERSION", "VERSION"]).is_some() {
        let version = version_name(tokens)?;
        if tokens.words("SET ALIAS") {
            tokens.optional_equals();
            Ok(AlterModelAction::SetAlias { version, alias: version_name(tokens)? })
        } else if tokens.words("UNSET ALIAS") {
            let alias = if tokens.at_end() { None } else { Some(version_name(tokens)?) };
            Ok(AlterModelAction::UnsetAlias { version, alias })
        } else if tokens.words("SET COMMENT") {
            Ok(AlterModelAction::SetVersionComment { version, comment: tokens.equals_text()? })
        } else {
            Err(tokens.unexpected())
        }
    } else {
        Err(tokens.unexpected())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::test_support::{all_parse, error, statement, unexpected, unsupported};

    #[test]
    fn trains() {
        let sql = "CREATE OR REPLACE MODEL s.late WITH VERSION v1 USING GBT TARGET late FEATURES (a, \"b\") \
                   OPTIONS (max_depth => 6, seed => 1, classes => ['x', 'y']) EVALUATE (SPLIT 0.2 BY dep_time) \
                   AS SELECT * FROM flights WHERE a > 1";
        let Statement::CreateModel(create) = statement(sql) else { panic!() };
        assert!(create.mode.or_replace);
        let training = create.training;
        assert_eq!((training.version.as_deref(), training.estimator.as_str()), (Some("V1"), "GBT"));
        assert_eq!(training.target.as_deref(), Some("LATE"));
        assert_eq!(training.features, ["A", "b"]);
        assert_eq!(training.options.get("MAX_DEPTH").and_then(OptionValue::as_integer), Some(6));
        assert_eq!(training.evaluate, Some(Evaluation { split: 0.2, by: Some("DEP_TIME".into()) }));
        assert_eq!(training.query_text, "SELECT * FROM flights WHERE a > 1");
    }

    #[test]
    fn imports() {
        let sql = "CREATE MODEL IF NOT EXISTS m WITH VERSION v2 FROM @st/models/m.json FORMAT = XGBOOST \
                   FEATURES (a FLOAT, b VARCHAR, c) CLASSES ('no', 'yes') TARGET y";
        let Statement::ImportModel(import) = statement(sql) else { panic!() };
        assert_eq!(
            (import.location.as_str(), import.format.as_deref()),
            ("@st/models/m.json", Some("XGBOOST"))
        );
        assert_eq!(import.features.len(), 3);
        assert_eq!(import.features[2].data_type, None);
        assert_eq!(import.classes.len(), 2);
        assert_eq!((import.version.as_deref(), import.target.as_deref()), (Some("V2"), Some("Y")));
    }

    #[test]
    fn alters() {
        for (sql, action) in [
            (
                "ALTER MODEL m SET DEFAULT_VERSION = v2",
                AlterModelAction::SetDefaultVersion("V2".into()),
            ),
            (
                "ALTER MODEL m SET DEFAULT_VERSION = 'v2'",
                AlterModelAction::SetDefaultVersion("V2".into()),
            ),
            ("ALTER MODEL m SET COMMENT = 'x'", AlterModelAction::SetComment("x".into())),
            (
                "ALTER MODEL m VERSION v1 SET ALIAS = best",
                AlterModelAction::SetAlias { version: "V1".into(), alias: "BEST".into() },
            ),
            (
                "ALTER MODEL m VERSION v1 UNSET ALIAS best",
                AlterModelAction::UnsetAlias { version: "V1".into(), alias: Some("BEST".into()) },
            ),
            (
                "ALTER MODEL m DROP VERSION v1",
                AlterModelAction::DropVersion { version: "V1".into(), if_exists: false },
            ),
            ("ALTER MODEL m RENAME TO n", AlterModelAction::RenameTo(ObjectName::bare("N"))),
        ] {
            let Statement::AlterModel(alter) = statement(sql) else { panic!("{sql}") };
            assert_eq!(alter.action, action, "{sql}");
        }
        for (sql, version) in [
            ("ALTER MODEL m ADD VERSION v2 USING LOGISTIC TARGET y AS SELECT * FROM t", Some("V2")),
            ("ALTER MODEL m ADD VERSION USING LOGISTIC TARGET y AS SELECT * FROM t", None),
        ] {
            let Statement::AlterModel(alter) = statement(sql) else { panic!("{sql}") };
            let AlterModelAction::AddVersion(training) = alter.action else { panic!("{sql}") };
            assert_eq!(training.version.as_deref(), version, "{sql}");
        }
        all_parse(&["ALTER MODEL m ADD VERSION v2 FROM @st/m.onnx FORMAT = ONNX"]);
    }

    #[test]
    fn wrong_clauses_are_refused() {
        unexpected("CREATE MODEL m USING GBT TARGET y", "");
        unexpected("CREATE MODEL m USING GBT TARGET y FROB 1 AS SELECT 1", "FROB");
        unexpected("CREATE MODEL m USING GBT TARGET y EVALUATE (FROB 1) AS SELECT 1", "FROB");
        unexpected("CREATE MODEL m FROM @s/f FORMAT = ONNX FROB", "FROB");
        unexpected("ALTER MODEL m SET FROB = 1", "SET");
        assert!(
            error("CREATE MODEL m USING GBT EVALUATE (SPLIT 2) AS SELECT 1")
                .message
                .contains("SPLIT")
        );
        unsupported("CREATE MODEL m FROM MODEL n", "FROM MODEL");
    }
}
