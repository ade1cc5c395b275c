//! Errors a user can read: Snowflake's code and SQLSTATE, a message, and where it happened.

use std::borrow::Cow;
use std::fmt;

/// A place in the statement's text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($number:literal, $state:literal)),* $(,)?) => {
        /// Snowflake's error codes that Frazil raises, with their SQLSTATE.
        ///
        /// Source: Snowflake's public documentation and the codes its clients branch on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name),* }
        impl Code {
            /// The number, such as 2003; clients print it with six digits.
            pub fn number(self) -> u32 { match self { $(Code::$name => $number),* } }
            /// The five-letter SQLSTATE.
            pub fn sqlstate(self) -> &'static str { match self { $(Code::$name => $state),* } }
            /// A code of this number.
            pub fn of_number(number: u32) -> Option<Code> {
                [$(Code::$name),*].into_iter().find(|code| code.number() == number)
            }
        }
    };
}

codes! {
    /// A fault of Frazil itself.
    Internal = (1, "XX000"),
    /// Understood, but not offered.
    Unsupported = (2, "0A000"),
    SyntaxError = (1003, "42000"),
    /// A wrong argument or option value.
    InvalidArgument = (1008, "22023"),
    /// Argument types that a function does not take.
    InvalidArgumentTypes = (1044, "42P13"),
    /// Too few arguments, or a number of them that no form of the function takes.
    ArgumentCount = (938, "22023"),
    TooManyArguments = (939, "22023"),
    InvalidIdentifier = (904, "42000"),
    AmbiguousColumn = (2028, "42601"),
    /// A subquery that compares with its outer row in a way that is not offered.
    UnsupportedSubquery = (2031, "42601"),
    DuplicateColumn = (2025, "42S21"),
    UnknownFunction = (2140, "42601"),
    /// A function with a schema before its name.
    UnknownUserFunction = (2141, "42601"),
    UnknownTableFunction = (2143, "42601"),
    ObjectExists = (2002, "42710"),
    /// See [`UserError::sqlstate`].
    ObjectNotFound = (2003, "42S02"),
    /// USE, DROP and DESCRIBE of an object that is not there or not authorised.
    ObjectNotFoundOrNotAuthorized = (2043, "02000"),
    NotAGroupByExpression = (979, "42601"),
    /// A view that declares other columns than its query has by now.
    ColumnCountMismatch = (2057, "42601"),
    /// A view whose query cannot be read, or not any more with its owner's rights.
    ViewExpansion = (2037, "42601"),
    /// The column list of CREATE VIEW or CREATE TABLE AS and a query of another width.
    InvalidColumnList = (2026, "42601"),
    /// INSERT of more or fewer values than columns.
    InsertColumnCountMismatch = (2020, "21S01"),
    /// Branches of UNION, INTERSECT or EXCEPT of different widths.
    SetOperationColumnCountMismatch = (1789, "42601"),
    /// Statement not allowed here (COMMIT of nothing is allowed, nested aggregates are not).
    InvalidStatement = (2078, "42601"),
    InvalidDataType = (2040, "42601"),
    /// An aggregate of a type that it does not take.
    UnsupportedAggregateType = (2016, "22000"),
    IncompatibleTypes = (2016, "22000"),
    InsufficientPrivileges = (3001, "42501"),
    /// OWNERSHIP of new objects of one kind that is promised to another role already.
    FutureOwnerExists = (3504, "01000"),
    /// USE ROLE of a role that the user does not hold.
    RoleNotAssigned = (3013, "42501"),
    /// ALTER WAREHOUSE … RESUME of one that runs.
    WarehouseNotSuspended = (90063, "22000"),
    /// ALTER WAREHOUSE … SUSPEND of one that is suspended.
    WarehouseNotRunning = (90064, "22000"),
    /// A resource monitor whose quota is used up.
    QuotaExceeded = (90073, "22000"),
    /// A resource monitor that would have begun in the past.
    StartTimePassed = (90263, "42601"),
    NoCurrentDatabase = (90105, "22000"),
    NoCurrentSchema = (90106, "22000"),
    NumericNotRecognized = (100038, "22018"),
    NumericOutOfRange = (100046, "22003"),
    DivisionByZero = (100051, "22012"),
    DateNotRecognized = (100040, "22007"),
    TimestampNotRecognized = (100035, "22007"),
    BooleanNotRecognized = (100037, "22018"),
    InvalidJson = (100069, "22P02"),
    FailedCast = (100071, "22000"),
    NullNotAllowed = (100072, "22000"),
    StringTooLong = (100078, "22000"),
    /// A subquery that must give one row gave more.
    MultipleRows = (90150, "22000"),
    DuplicateRowInDml = (100090, "42P18"),
    InvalidHex = (100115, "22000"),
    InvalidRegularExpression = (100048, "2201B"),
    FileParse = (100080, "22000"),
    /// A CSV record with a character where a delimiter belongs.
    UnexpectedDelimiter = (100016, "22000"),
    /// NULL from a file for a column that takes none.
    NullInFile = (100088, "22000"),
    InvalidUtf8 = (100144, "22000"),
    /// Unloading to a place that holds files already.
    FilesExist = (1030, "42710"),
    StageFileNotFound = (253006, "22023"),
    TransactionConflict = (625, "57014"),
    LockTimeout = (625, "57014"),
    Cancelled = (604, "57014"),
    StatementTimeout = (630, "57014"),
    /// A statement that computes, in a session whose warehouse is none or does not run.
    NoActiveWarehouse = (606, "57P03"),
    /// A memory, result or concurrency limit was hit.
    ResourceLimit = (300005, "53200"),
    /// The disk of the data directory has no room left.
    DiskFull = (300005, "53100"),
    TimeTravelUnavailable = (707, "02000"),
    /// A clone of a temporary table that would outlive it.
    CloneOfTemporary = (2119, "0A000"),
    /// A clone of a transient object that would be permanent.
    CloneOfTransient = (2120, "0A000"),
    TooManyStatements = (8, "0A000"),
    EmptyStatement = (900, "42601"),
    BindMissing = (2049, "42601"),
    AuthenticationFailed = (390100, "28000"),
    /// Login of a user with DISABLED = TRUE.
    UserDisabled = (390101, "28000"),
    /// Too many wrong passwords in a row.
    UserLocked = (390102, "28000"),
    /// Login with the password of a user with MUST_CHANGE_PASSWORD = TRUE.
    PasswordExpired = (390106, "28000"),
    /// A key-pair token that is malformed, expired or signed with another key.
    JwtInvalid = (390144, "08001"),
    TokenInvalid = (390104, "08001"),
    SessionGone = (390111, "08001"),
    TokenExpired = (390112, "08001"),
    MasterTokenInvalid = (390113, "08001"),
    MasterTokenExpired = (390114, "08001"),
    /// Login with a database, schema or warehouse that is not there, where it must be.
    LoginObjectNotFound = (390201, "08004"),
    RoleNotGranted = (390189, "28000"),
    /// Login in a way that the user's type does not have.
    AuthenticationRejected = (390202, "28000"),
    ModelError = (392604, "22023"),
}

impl Code {
    /// Whether messages of this code may quote a value that a row had: Snowflake's numbers of errors in
    /// data, and what functions say of their arguments.
    pub fn quotes_values(self) -> bool {
        self.number() / 1000 == 100 || self == Code::InvalidArgument
    }
}

/// An error made for the person who wrote the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    pub code: Code,
    pub message: String,
    pub position: Option<Position>,
}

/// What the system and SQLite say of a full disk, the last where its shared memory cannot grow. Errors
/// come here from many libraries, and of some only the words are left.
const DISK_FULL: [&str; 4] =
    ["No space left on device", "Disk quota exceeded", "database or disk is full", "(code: 4874)"];

/// Most characters of a value in a message.
const VALUE_CHARS: usize = 200;
/// Most characters of a message, and those of its beginning that remain of a longer one.
const MESSAGE_CHARS: usize = 2000;
const MESSAGE_HEAD_CHARS: usize = 1500;

/// A value as messages quote it: whole, or its beginning.
pub fn excerpt(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &value[..end])),
        None => Cow::Borrowed(value),
    }
}

/// A message without its middle where it is too long, which is where it quotes what it is about:
/// messages go to clients, logs and the history, and values may have megabytes.
fn shortened(message: String) -> String {
    if message.len() <= MESSAGE_CHARS || message.chars().count() <= MESSAGE_CHARS {
        return message;
    }
    let start_of = |place: usize| message.char_indices().nth(place).map_or(0, |(at, _)| at);
    let end_of = |place: usize| message.char_indices().nth_back(place).map_or(0, |(at, _)| at);
    let tail = MESSAGE_CHARS - MESSAGE_HEAD_CHARS;
    let (head, tail) = (start_of(MESSAGE_HEAD_CHARS), end_of(tail - 1));
    format!("{}…{}", &message[..head], &message[tail..])
}

impl UserError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        UserError { code, message: shortened(message.into()), position: None }
    }

    /// The same error, placed in the statement's text unless it has a place already.
    pub fn at(mut self, position: Option<Position>) -> Self {
        self.position = self.position.or(position);
        self
    }

    /// The SQLSTATE: that of the code, but for a database or schema that is not there, which
    /// Snowflake tells apart from an object inside one.
    pub fn sqlstate(&self) -> &'static str {
        let namespace = ["Database ", "Schema "].iter().any(|kind| self.message.starts_with(kind));
        match self.code {
            Code::ObjectNotFound if namespace => "02000",
            code => code.sqlstate(),
        }
    }

    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(Code::Unsupported, format!("Unsupported feature '{what}'."))
    }

    /// Whether it is one of Snowflake's compiler errors, which lie between these numbers; execution errors
    /// are far above.
    pub fn is_compilation(&self) -> bool {
        (900..3001).contains(&self.code.number())
    }

    /// A fault of Frazil itself; but a full disk is none, wherever it is met.
    pub fn internal(what: impl fmt::Display) -> Self {
        let what = what.to_string();
        if DISK_FULL.iter().any(|words| what.contains(words)) {
            return Self::new(
                Code::DiskFull,
                "The disk of the server's data directory is full: what was asked for is not done. Make \
                 room, and ask again.",
            );
        }
        Self::new(Code::Internal, format!("Internal error: {what}"))
    }

    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(Code::SyntaxError, message)
    }

    pub fn invalid_identifier(name: impl fmt::Display) -> Self {
        Self::new(Code::InvalidIdentifier, format!("invalid identifier '{name}'"))
    }

    /// Snowflake's words for an object that is absent or hidden from the role.
    pub fn not_found(kind: impl fmt::Display, name: impl fmt::Display) -> Self {
        Self::new(
            Code::ObjectNotFound,
            format!("{kind} '{name}' does not exist or not authorized."),
        )
    }

    pub fn exists(name: impl fmt::Display) -> Self {
        Self::new(Code::ObjectExists, format!("Object '{name}' already exists."))
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06} ({}): ", self.code.number(), self.sqlstate())?;
        if let Some(Position { line, column }) = self.position {
            writeln!(
                f,
                "SQL compilation error: error line {line} at position {}",
                column.saturating_sub(1)
            )?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_in_part_on_character_boundaries() {
        assert_eq!(excerpt("aé"), "aé");
        let exact = "é".repeat(VALUE_CHARS);
        assert_eq!(excerpt(&exact), exact.as_str());
        assert_eq!(excerpt(&format!("{exact}x")), format!("{exact}…"));
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        // ENOSPC and EDQUOT of Linux.
        for number in [28, 122] {
            let error = std::io::Error::from_raw_os_error(number);
            assert_eq!(UserError::internal(format!("x: {error}")).code, Code::DiskFull);
        }
        let other = UserError::internal(std::io::Error::from_raw_os_error(5));
        assert_eq!(other.code, Code::Internal);
        assert_eq!(Code::of_number(Code::DiskFull.number()), Some(Code::ResourceLimit));
        assert_eq!(Code::of_number(999_999), None);
    }

    #[test]
    fn long_messages_lose_their_middle() {
        let short = "é".repeat(MESSAGE_CHARS);
        assert_eq!(UserError::syntax(short.as_str()).message, short);
        let long = format!("Value '{}' is none", "é".repeat(1_000_000));
        let message = UserError::syntax(long).message;
        assert_eq!(message.chars().count(), MESSAGE_CHARS + 1);
        assert!(message.starts_with("Value 'é") && message.ends_with("é' is none"));
    }
}
