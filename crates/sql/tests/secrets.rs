//! No literal survives, whatever the dialect, wherever the text is cut; and nothing makes the normaliser fail.

use dogwatch_sql::{Dialect, normalize};
use proptest::prelude::*;
use proptest::sample::select;

/// A secret that is no word of SQL and can be found again, also in part.
const SECRET: &str = "hunter2Zq";
/// Part of a secret that must not be seen either.
const PART: &str = "unte";

const ALL: [Dialect; 6] =
    [Dialect::Postgres, Dialect::MySql, Dialect::SqlServer, Dialect::Sqlite, Dialect::Oracle, Dialect::Other];

/// Literals with the secret in them, and the dialects that have them.
fn literals(dialect: Dialect) -> Vec<String> {
    let mut literals: Vec<String> = [
        "'S'",
        "'it''s S'",
        "'S''",
        "N'S'",
        "'--S'",
        "'/*S'",
        "'\"S'",
        "'S;'",
        "'%S%'",
        "'`S'",
        "'a, S)'",
        "'(S'",
        "'\nS'",
    ]
    .map(str::to_owned)
    .to_vec();
    let more: &[&str] = match dialect {
        Dialect::Postgres => &["E'a\\'S'", "$$S'$$", "$tag$ $$ S' $tag$", "U&'S'", "'S\\'", "B'S'"],
        Dialect::MySql => &["'a\\'S'", "\"S\"", "\"it's S\"", "\"a\\\"S\"", "_utf8mb4'S'", "x'S'"],
        Dialect::SqlServer => &["'S\\'"],
        Dialect::Sqlite => &["\"S\"", "x'S'"],
        Dialect::Oracle => &["q'[it's S]'", "q'{S}'", "nq'!S!'", "'S\\'"],
        Dialect::Other => &["'a\\'S'", "\"S\"", "\"a\\\"S\"", "$$S'$$", "q'[it's S]'", "r'S'"],
    };
    literals.extend(more.iter().map(|&literal| literal.to_owned()));
    // The one that is cut off in itself.
    literals.retain(|literal| literal != "'S''");
    literals.into_iter().map(|literal| literal.replace('S', SECRET)).collect()
}

/// Statements with a `§` where a literal stands.
const TEMPLATES: [&str; 9] = [
    "SELECT a, § FROM t WHERE b = § AND c IN (§, §, §) OR d LIKE §",
    "INSERT INTO t (a, b) VALUES (§, §), (§, NULL) ON CONFLICT DO NOTHING",
    "UPDATE t SET a = §, b = 5 WHERE c = § /*trailing*/",
    "/*leading*/ DELETE FROM t WHERE a=§ AND b>§",
    "SELECT f(§, x), § AS y FROM (SELECT 1) s ORDER BY §",
    "CREATE USER bob PASSWORD §",
    "CALL p(§, -1, §); SELECT §",
    "SELECT CASE WHEN a = § THEN § ELSE b END",
    "MERGE INTO t USING s ON (t.a = §) WHEN MATCHED THEN UPDATE SET b = §",
];

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn no_literal_survives_wherever_the_text_is_cut(
        dialect in select(ALL.to_vec()),
        template in select(TEMPLATES.to_vec()),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
        cut in any::<prop::sample::Index>(),
    ) {
        let literals = literals(dialect);
        let mut sql = String::new();
        for (index, part) in template.split('§').enumerate() {
            if index > 0 {
                sql.push_str(&literals[picks[index % picks.len()].index(literals.len())]);
            }
            sql.push_str(part);
        }
        let cut = sql.floor_char_boundary(cut.index(sql.len() + 1));
        for text in [&sql[..], &sql[..cut]] {
            let normalized = normalize(text, dialect);
            prop_assert!(!normalized.text.contains(PART), "{dialect:?} {text:?}: {:?}", normalized.text);
            prop_assert!(!normalized.summary.contains(PART), "{dialect:?} {text:?}: {:?}", normalized.summary);
        }
    }

    #[test]
    fn literals_comments_case_and_space_make_no_difference(
        dialect in select(ALL.to_vec()),
        template in select(TEMPLATES.to_vec()),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
        gaps in prop::collection::vec(select(vec![" ", "\n", "\t  ", " /* c */ ", " -- c\n"]), 16),
        upper in any::<bool>(),
    ) {
        let literals: Vec<String> = literals(dialect)
            .into_iter()
            // An introducer is a word of the statement, and what nobody can read hides what follows.
            .filter(|literal| !literal.starts_with("_utf8"))
            .filter(|literal| dialect != Dialect::Other || !literal.contains('\\'))
            .collect();
        let plain = template.replace('§', "'x'");
        let mut gap = gaps.iter().cycle();
        let mut guise = String::new();
        for (index, part) in template.split('§').enumerate() {
            if index > 0 {
                guise.push_str(&literals[picks[index % picks.len()].index(literals.len())]);
            }
            let part: String = part.split_inclusive(' ').fold(String::new(), |text, word| {
                let spaced = word.strip_suffix(' ').map(|word| word.to_owned() + gap.next().map_or("", |gap| *gap));
                text + spaced.as_deref().unwrap_or(word)
            });
            let is_cased = dialect != Dialect::MySql && dialect != Dialect::Other;
            guise.push_str(&if upper && is_cased { part.to_uppercase() } else { part });
        }
        prop_assert_eq!(
            normalize(&plain, dialect).fingerprint,
            normalize(&guise, dialect).fingerprint,
            "{:?}: {} | {}", dialect, plain, guise
        );
    }

    #[test]
    fn any_text_is_taken(sql in "\\PC{0,200}", dialect in select(ALL.to_vec())) {
        let normalized = normalize(&sql, dialect);
        prop_assert!(normalized.text.len() <= 8192 && normalized.summary.len() <= 255);
    }

    #[test]
    fn any_mixture_of_tokens_is_taken_and_the_outcome_is_stable(
        tokens in prop::collection::vec(
            select(vec![
                "'", "\"", "`", "[", "]", "(", ")", "$", "$$", "$a$", "\\", "--", "/*", "*/", "#", ":", "::", "@", "%s",
                "%(", "?", ",", ";", ".", "-", "+", "1", "1e5", "0x", "é", "SELECT", "FROM", "IN", "VALUES", "ROW", "a", " ",
                "\n", "q'", "E'", "U&'", "N'", "IDENTIFIED", "BY", "SAVEPOINT", "{", "}", "01234567-89ab-cdef-0123-456789abcdef",
            ]),
            0..60,
        ),
        dialect in select(ALL.to_vec()),
    ) {
        let sql = tokens.concat();
        let normalized = normalize(&sql, dialect);
        prop_assert!(normalized.text.len() <= 8192 && normalized.summary.len() <= 255);
        prop_assert_eq!(normalized, normalize(&sql, dialect));
    }
}

#[test]
fn passwords_without_quotes_are_masked() {
    for sql in [
        "ALTER USER bob IDENTIFIED BY hunter2Zq",
        "CREATE USER bob IDENTIFIED BY \"hunter2Zq\"",
        "ALTER USER bob IDENTIFIED BY hunter2Zq REPLACE hunter2Zq",
        "CREATE USER bob IDENTIFIED BY VALUES 'hunter2Zq'",
    ] {
        for dialect in ALL {
            assert!(!normalize(sql, dialect).text.contains(PART), "{dialect:?}: {sql}");
        }
    }
}

#[test]
fn a_megabyte_is_read_to_its_end_and_little_of_it_is_kept() {
    let nested = "(".repeat(1 << 20);
    let quotes = "'a".repeat(1 << 19);
    let names = "SELECT a".to_owned() + &", column_of_a_wide_table".repeat(50_000);
    let comments = "/*".repeat(1 << 19);
    let signs = "+".repeat(1 << 20) + "1";
    let dollars = "$a".repeat(1 << 19);
    for sql in [nested, quotes, names, comments, signs, dollars] {
        for dialect in ALL {
            let normalized = normalize(&sql, dialect);
            assert!(normalized.text.len() <= 8192, "{dialect:?}");
        }
    }
}

#[test]
fn values_that_are_written_as_names_or_behind_a_statement_are_masked() {
    for (sql, expected) in [
        ("SET search_path TO tenant_42", "SET search_path TO ?"),
        ("SET ROLE tenant_42", "SET ROLE ?"),
        ("USE tenant_42", "USE ?"),
        ("LISTEN \"job_4711\"", "LISTEN ?"),
        ("SET LOCAL app.user TO ann", "SET LOCAL app.user TO ?"),
        ("COPY users (id, name) FROM STDIN;\n1\tann\n2\tbob\n\\.\n", "COPY users (id, name) FROM STDIN;"),
    ] {
        assert_eq!(normalize(sql, Dialect::Postgres).text, expected);
    }
}
