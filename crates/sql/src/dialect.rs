//! What differs between databases as far as a lexer is concerned.

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Postgres and what speaks its language, such as `CockroachDB` and Redshift.
    Postgres,
    /// `MySQL` and `MariaDB`.
    MySql,
    /// Microsoft SQL Server.
    SqlServer,
    /// `SQLite`.
    Sqlite,
    /// Oracle and DB2.
    Oracle,
    /// Any other, or unknown: what is a literal in one of them is masked.
    Other,
}

/// How a backslash in a string is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// As itself.
    Plain,
    /// It takes the meaning from the character that follows.
    Escape,
    /// Nobody knows: before a quote, all that follows may be literal.
    Unknown,
}

/// What stands in double quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoubleQuotes {
    Name,
    Text,
    /// A name where one is expected, else text.
    Either,
}

impl Dialect {
    /// From `db.system.name` or the older `db.system` of OpenTelemetry.
    pub fn of_system(system: &str) -> Self {
        match system {
            "postgresql" | "cockroachdb" | "redshift" | "aws.redshift" | "edb" | "greenplum" => {
                Self::Postgres
            }
            "mysql" | "mariadb" | "tidb" => Self::MySql,
            "microsoft.sql_server" | "mssql" | "mssqlcompact" => Self::SqlServer,
            "sqlite" => Self::Sqlite,
            "oracle" | "oracle.db" | "db2" | "ibm.db2" => Self::Oracle,
            _ => Self::Other,
        }
    }

    pub(crate) fn backslash(self) -> Backslash {
        match self {
            Self::Postgres | Self::SqlServer | Self::Sqlite | Self::Oracle => Backslash::Plain,
            Self::MySql => Backslash::Escape,
            Self::Other => Backslash::Unknown,
        }
    }

    pub(crate) fn double_quotes(self) -> DoubleQuotes {
        match self {
            Self::Postgres | Self::SqlServer | Self::Oracle => DoubleQuotes::Name,
            Self::MySql => DoubleQuotes::Text,
            // SQLite takes an unknown name for a string.
            Self::Sqlite | Self::Other => DoubleQuotes::Either,
        }
    }

    /// `[a name]`
    pub(crate) fn has_brackets(self) -> bool {
        matches!(self, Self::SqlServer | Self::Sqlite)
    }

    /// `# to the end of the line`
    pub(crate) fn has_hash_comments(self) -> bool {
        self == Self::MySql
    }

    /// `5--3` is a subtraction of a negative number.
    pub(crate) fn dash_comments_need_a_space(self) -> bool {
        self == Self::MySql
    }

    /// `/* /* */ still a comment */`
    pub(crate) fn nests_comments(self) -> bool {
        matches!(self, Self::Postgres | Self::SqlServer | Self::Other)
    }

    /// `q'[it's text]'`
    pub(crate) fn has_q_quotes(self) -> bool {
        matches!(self, Self::Oracle | Self::Other)
    }

    /// `#temporary` and `name#1`
    pub(crate) fn has_hash_in_names(self) -> bool {
        matches!(self, Self::SqlServer | Self::Oracle)
    }

    /// Users and USERS are the same table. In `MySQL` that depends on the file system.
    pub(crate) fn folds_case(self) -> bool {
        !matches!(self, Self::MySql | Self::Other)
    }
}
