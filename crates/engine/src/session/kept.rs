//! What the history keeps of a statement's texts: no password and no key, and no more than somebody reads.

use frazil_common::UserError;

/// Most bytes of a statement's text, and of an error's.
const TEXT_BYTES: usize = 100_000;
const MESSAGE_BYTES: usize = 10_000;

/// The texts of a statement and its error as the history keeps them.
pub(super) struct Kept {
    pub text: String,
    pub message: Option<String>,
}

impl Kept {
    pub fn of(text: &str, error: Option<&UserError>) -> Kept {
        Kept::with(redacted(text), text, error)
    }

    /// Of a text that is no statement: what it was to be is not known, so any word of secrets counts.
    pub fn of_unparsed(text: &str, error: &UserError) -> Kept {
        let shortest = redacted(text).into_iter().chain(suspected(text)).min_by_key(String::len);
        Kept::with(shortest, text, Some(error))
    }

    fn with(redacted: Option<String>, text: &str, error: Option<&UserError>) -> Kept {
        // An error's words may quote the statement.
        let message = error.map(|error| match &redacted {
            Some(_) => {
                format!("Error {:06}; its words may hold the secret", error.code.number())
            }
            None => cut(&error.message, MESSAGE_BYTES),
        });
        Kept { text: cut(redacted.as_deref().unwrap_or(text), TEXT_BYTES), message }
    }
}

/// The place of a word, in letters of either case, at or after `from`.
fn find_word(text: &str, word: &str, from: usize) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    let found =
        rest.windows(word.len()).position(|part| part.eq_ignore_ascii_case(word.as_bytes()))?;
    Some(from + found)
}

/// A statement's text up to the first secret that it may give. It may stand in EXECUTE IMMEDIATE or in a
/// text, and need not parse.
fn redacted(text: &str) -> Option<String> {
    let keys = KEYS.iter().filter_map(|key| Some((given(text, key, 0)?, *key)));
    let (at, word) = keys.chain(password(text).map(|at| (at, PASSWORD))).min()?;
    Some(format!("{}{word} = '***' …", &text[..at]))
}

const PASSWORD: &str = "PASSWORD";
/// Words of CREDENTIALS and ENCRYPTION.
const KEYS: [&str; 4] = ["AWS_SECRET_KEY", "AWS_TOKEN", "AZURE_SAS_TOKEN", "MASTER_KEY"];

/// The place of a password: after CREATE or ALTER, and USER.
fn password(text: &str) -> Option<usize> {
    let verbs = ["CREATE", "ALTER"].iter().filter_map(|verb| find_word(text, verb, 0));
    let user = find_word(text, "USER", verbs.min()?)?;
    given(text, PASSWORD, user)
}

/// The place of a word with `=` or a text behind it, at or after `from`: a column or a word of a comment
/// gives none.
fn given(text: &str, word: &str, from: usize) -> Option<usize> {
    const GIVEN: [char; 4] = ['=', '\'', '$', '/'];
    let gives = |at: usize| {
        let rest = &text[at + word.len()..];
        rest.strip_prefix('"').unwrap_or(rest).trim_start().starts_with(GIVEN)
    };
    let mut at = find_word(text, word, from)?;
    while !gives(at) {
        at = find_word(text, word, at + 1)?;
    }
    Some(at)
}

/// A text up to the first word that may name a secret and has a text behind it.
fn suspected(text: &str) -> Option<String> {
    const PARTS: [&str; 5] = ["PASS", "PWD", "SECRET", "TOKEN", "CREDENTIAL"];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut from = 0;
    while let Some(start) = text[from..].find(is_word).map(|at| from + at) {
        let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |at| start + at);
        let word = text[start..end].to_uppercase();
        let names = word.ends_with("_KEY") || PARTS.iter().any(|part| word.contains(part));
        if names && text[end..].contains(['\'', '"', '$', '=']) {
            return Some(format!("{} = '***' …", &text[..end]));
        }
        from = end;
    }
    None
}

/// A text of at most so many bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_string();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} …", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_left_out_and_columns_of_the_name_kept() {
        for (text, kept) in [
            ("CREATE USER u PASSWORD = 'x' COMMENT = 'y'", "CREATE USER u PASSWORD = '***' …"),
            ("alter user u set Password='x", "alter user u set PASSWORD = '***' …"),
            (
                "CREATE USER u COMMENT='password of' PASSWORD /**/ = 'x'",
                "CREATE USER u COMMENT='password of' PASSWORD = '***' …",
            ),
            ("ALTER USER u SET \"PASSWORD\" = 'x'", "ALTER USER u SET \"PASSWORD = '***' …"),
            (
                "CREATE STAGE s URL='s3://b' CREDENTIALS=(AWS_KEY_ID='a' AWS_SECRET_KEY='x')",
                "CREATE STAGE s URL='s3://b' CREDENTIALS=(AWS_KEY_ID='a' AWS_SECRET_KEY = '***' …",
            ),
            (
                "COPY INTO t ENCRYPTION=(master_key = 'x'",
                "COPY INTO t ENCRYPTION=(MASTER_KEY = '***' …",
            ),
            (
                "EXECUTE IMMEDIATE $$CREATE USER u PASSWORD='x'$$",
                "EXECUTE IMMEDIATE $$CREATE USER u PASSWORD = '***' …",
            ),
        ] {
            assert_eq!(redacted(text).as_deref(), Some(kept));
        }
        for text in [
            "SELECT password FROM users WHERE password = 'é'",
            "CREATE TABLE users (user_id INT, password VARCHAR)",
        ] {
            assert_eq!(redacted(text), None, "{text}");
        }
        for (text, kept) in [
            ("CREATE USR x PASSWORD='secret'", "CREATE USR x PASSWORD = '***' …"),
            ("create user x, passwrd 'secret'", "create user x, passwrd = '***' …"),
            ("CREAT STAGE é CREDENTIALS=(ID='a'", "CREAT STAGE é CREDENTIALS = '***' …"),
            ("SET my_token := $$x$$", "SET my_token = '***' …"),
            ("ALTR USER u SET RSA_KEY = 'x'", "ALTR USER u SET RSA_KEY = '***' …"),
            ("CREATE USER u PASSWORD 'a' frob", "CREATE USER u PASSWORD = '***' …"),
        ] {
            let error = UserError::syntax("it names 'secret'");
            let found = Kept::of_unparsed(text, &error);
            assert_eq!(found.text, kept);
            assert!(!found.message.is_some_and(|message| message.contains("secret'")));
        }
        for text in ["SELEC 'a' FROM t", "CREATE TABLE t (a INT PRIMARY KEY 'x'", "SELEC password"]
        {
            assert_eq!(Kept::of_unparsed(text, &UserError::syntax("no")).text, text);
        }
        assert_eq!(cut("aéb", 2), "a …");
        assert_eq!(cut("aé", 3), "aé");
    }
}
