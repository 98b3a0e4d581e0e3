//! The same statement has the same fingerprint, different ones do not; by example.

use dogwatch_sql::{Dialect, normalize};

fn fingerprint(sql: &str, dialect: Dialect) -> u64 {
    normalize(sql, dialect).fingerprint
}

const ALL: [Dialect; 6] =
    [Dialect::Postgres, Dialect::MySql, Dialect::SqlServer, Dialect::Sqlite, Dialect::Oracle, Dialect::Other];

/// Each line of a group is the same statement, in every dialect.
const SAME: [&[&str]; 12] = [
    &[
        "SELECT * FROM users WHERE id = 1",
        "select * from users where id=2",
        "SELECT *\n\tFROM users -- all of them\n WHERE id = 'x';",
        "SELECT/**/* FROM /* they */users WHERE id = $1",
        "SELECT * FROM users WHERE id = %s",
        "SELECT * FROM users WHERE id = %(id_1)s",
        "SELECT * FROM users WHERE id = :id",
        "SELECT * FROM users WHERE id = @p0",
        "SELECT * FROM users WHERE id = ?",
        "SELECT * FROM users WHERE id = -17.5e-3",
        "SELECT * FROM users WHERE id = - 3",
        "SELECT * FROM users WHERE id = 0xDEADBEEF",
        "SELECT * FROM users WHERE id = 'it''s'",
        "SELECT * FROM users WHERE id = N'x'",
        "SELECT * FROM users WHERE id = 01234567-89ab-cdef-0123-456789abcdef",
        "SELECT * FROM users WHERE id = 'a' 'b'",
        "SELECT * FROM users WHERE id = TRUE",
    ],
    &[
        "SELECT a FROM t WHERE a IN (1)",
        "SELECT a FROM t WHERE a IN (1, 2, 3)",
        "select a from t where a in ('x','y')",
        "SELECT a FROM t WHERE a IN ($1, $2, $3, $4)",
        "SELECT a FROM t WHERE a IN ($1 /*, ... */)",
        "SELECT a FROM t WHERE a IN (%s, %s)",
        "SELECT a FROM t WHERE a IN (-1, +2)",
    ],
    &["SELECT a FROM t WHERE (a, b) IN ((1, 2))", "SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4), (5, 6))"],
    &["SELECT a FROM t WHERE a IN ($1::uuid)", "SELECT a FROM t WHERE a IN ($1::uuid, $2::uuid)"],
    &[
        "INSERT INTO t (a, b) VALUES (1, 'x')",
        "insert into t (a,b) values (?, ?)",
        "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, NULL)",
        "INSERT INTO t (a, b) VALUES (%(a__0)s, %(b__0)s), (%(a__1)s, %(b__1)s)",
    ],
    &["INSERT INTO t (a) VALUES (1) RETURNING id", "INSERT INTO t (a) VALUES (1), (2), (3) RETURNING id"],
    &["SELECT 99+100", "SELECT 99 + 100", "SELECT 1 + -2"],
    &["SELECT a-1 FROM t", "SELECT a - 1 FROM t", "SELECT a -1 FROM t"],
    &["SAVEPOINT sa_savepoint_1", "SAVEPOINT s140339_x2", "savepoint other;"],
    &["DEALLOCATE pdo_stmt_00000001", "DEALLOCATE pdo_stmt_0000000f"],
    &["FETCH FORWARD 100 FROM c_1", "FETCH FORWARD 2000 FROM c_2"],
    &["ALTER USER bob IDENTIFIED BY tiger", "ALTER USER bob IDENTIFIED BY scott"],
];

#[test]
fn the_same_statement_has_the_same_fingerprint_in_every_guise() {
    for group in SAME {
        for dialect in ALL {
            for sql in group {
                let (first, other) = (normalize(group[0], dialect), normalize(sql, dialect));
                assert_eq!(first.fingerprint, other.fingerprint, "{dialect:?}: {first:?} {other:?}");
            }
        }
    }
}

#[test]
fn different_statements_have_different_fingerprints() {
    let different = [
        "SELECT a FROM t",
        "SELECT b FROM t",
        "SELECT a, b FROM t",
        "SELECT ab FROM t",
        "SELECT a FROM t WHERE a = 1",
        "SELECT a FROM t WHERE a <> 1",
        "SELECT a FROM t WHERE a > 1",
        "SELECT a FROM t WHERE a = 1 AND b = 2",
        "SELECT a FROM t WHERE a = 1 OR b = 2",
        "SELECT a FROM t WHERE a IN (1)",
        "SELECT a FROM t WHERE a IN (b)",
        "SELECT a FROM t WHERE a IN (b, b2)",
        "SELECT a FROM t WHERE a NOT IN (1)",
        "SELECT a FROM t WHERE a IN (SELECT a, a FROM u)",
        "SELECT a FROM t WHERE a IN (SELECT a FROM u)",
        "SELECT a FROM t WHERE a IS NULL",
        "SELECT a FROM t WHERE a IS NOT NULL",
        "SELECT a FROM t ORDER BY a",
        "SELECT a FROM t ORDER BY a DESC",
        "SELECT a FROM t LIMIT 1",
        "SELECT a FROM t LIMIT 1 OFFSET 5",
        "SELECT a - 1 FROM t",
        "SELECT f(1) FROM t",
        "SELECT f(1, 2) FROM t",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a, b) VALUES (1, 2)",
        "INSERT INTO t (a, b) VALUES (1, now())",
        "INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT DO NOTHING",
        "INSERT INTO t (a, b) VALUES (1, 2), (3, now())",
        "UPDATE t SET a = 1",
        "UPDATE t SET a = 1 WHERE b = 2",
        "DELETE FROM t",
        "SAVEPOINT a",
        "RELEASE SAVEPOINT a",
        "COMMIT",
        "ROLLBACK",
        "",
    ];
    for dialect in ALL {
        for (index, one) in different.iter().enumerate() {
            for other in &different[index + 1..] {
                assert_ne!(
                    fingerprint(one, dialect),
                    fingerprint(other, dialect),
                    "{dialect:?}: {one} | {other}"
                );
            }
        }
    }
}

#[test]
fn names_in_quotes_are_those_without_where_the_dialect_says_so() {
    let same = |dialect, one: &str, other: &str| {
        assert_eq!(fingerprint(one, dialect), fingerprint(other, dialect), "{dialect:?}: {one} | {other}");
    };
    let differ = |dialect, one: &str, other: &str| {
        assert_ne!(fingerprint(one, dialect), fingerprint(other, dialect), "{dialect:?}: {one} | {other}");
    };
    same(Dialect::Postgres, r#"SELECT "id" FROM "users""#, "SELECT ID FROM Users");
    differ(Dialect::Postgres, r#"SELECT id FROM "Users""#, "SELECT id FROM Users");
    differ(Dialect::Postgres, r#"SELECT "user""#, "SELECT user_");
    same(Dialect::Oracle, r#"SELECT ID FROM "USERS""#, "SELECT id FROM users");
    differ(Dialect::Oracle, r#"SELECT ID FROM "users""#, "SELECT id FROM users");
    same(Dialect::MySql, "SELECT `id` FROM `users`", "SELECT id FROM users");
    differ(Dialect::MySql, "SELECT id FROM Users", "SELECT id FROM users");
    same(Dialect::MySql, "SELECT COUNT(*) FROM t", "SELECT count(*) FROM t");
    same(Dialect::SqlServer, "SELECT [Id] FROM [dbo].[Users]", "select id from dbo.users");
    same(Dialect::Sqlite, r#"SELECT t."id" FROM "t""#, "SELECT t.id FROM t");
}

#[test]
fn a_long_list_is_as_good_as_a_short_one() {
    let list = |count: usize| {
        let rows: Vec<String> =
            (0..count).map(|number| format!("({number}, 'name {number}', NULL)")).collect();
        format!("INSERT INTO t (a, b, c) VALUES {} ON CONFLICT DO NOTHING", rows.join(", "))
    };
    let (one, many) = (normalize(&list(1), Dialect::Postgres), normalize(&list(40_000), Dialect::Postgres));
    assert_eq!(one, many);
    assert_eq!(many.text, "INSERT INTO t (a, b, c) VALUES (?, ?, NULL) ON CONFLICT DO NOTHING");
}

#[test]
fn summaries_name_commands_and_targets() {
    for (sql, summary) in [
        (
            r#"SELECT "u"."id" FROM "auth_user" "u" INNER JOIN "groups" ON ("u"."g" = "groups"."id")"#,
            "SELECT auth_user groups",
        ),
        ("WITH x AS (SELECT a FROM t) SELECT * FROM x", "SELECT t SELECT x"),
        (
            "UPDATE public.users SET a = 1 FROM b WHERE c = (SELECT max(c) FROM d)",
            "UPDATE public.users b SELECT d",
        ),
        ("DELETE FROM a USING b WHERE a.id = b.id", "DELETE a b"),
        ("SELECT extract(epoch FROM created_at), trim(both FROM x) FROM t", "SELECT t"),
        ("SELECT a FROM t WHERE a IS DISTINCT FROM b", "SELECT t"),
        ("SELECT a FROM t ORDER BY a, b FOR UPDATE SKIP LOCKED", "SELECT t"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT t"),
        ("INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "INSERT t"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", "CREATE INDEX i"),
        ("CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE)", "CREATE TABLE t"),
        ("TRUNCATE TABLE t", "TRUNCATE t"),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = 1", "MERGE t s"),
        ("EXPLAIN ANALYZE SELECT 1 FROM t", "EXPLAIN SELECT t"),
        ("CALL refresh_totals(?)", "CALL refresh_totals"),
        ("BEGIN", "BEGIN"),
        ("COMMIT;", "COMMIT"),
        ("SELECT 1; SELECT a FROM b", "SELECT SELECT b"),
        ("PRAGMA table_info(x)", "PRAGMA"),
        ("SAVEPOINT sp_1", "SAVEPOINT"),
        ("FETCH FORWARD 10 FROM c_1", "FETCH"),
        ("", ""),
    ] {
        assert_eq!(normalize(sql, Dialect::Postgres).summary, summary, "{sql}");
    }
}

/// The same statement, however often its parts are repeated.
#[test]
fn parts_that_are_joined_by_the_same_word_count_once() {
    for (few, many) in [
        ("SELECT * FROM t WHERE a = 1 OR a = 2", "SELECT * FROM t WHERE a = 1 OR a = 2 OR a = 3 OR a = 4"),
        (
            "SELECT * FROM t WHERE (a = 1 OR a = 2) AND b = 3",
            "SELECT * FROM t WHERE (a = 1 OR a = 2 OR a = 5) AND b = 3",
        ),
        (
            "SELECT * FROM t WHERE a = 1 OR a = 2 ORDER BY b",
            "SELECT * FROM t WHERE a = 1 OR a = 2 OR a = 9 ORDER BY b",
        ),
        (
            "UPDATE t SET a = CASE WHEN id = 1 THEN 'x' WHEN id = 2 THEN 'y' ELSE NULL END WHERE id IN (1, 2)",
            "UPDATE t SET a = CASE WHEN id = 1 THEN 'x' WHEN id = 2 THEN 'y' WHEN id = 3 THEN 'z' ELSE NULL END WHERE id IN (1, 2, 3)",
        ),
        (
            "SELECT a FROM t WHERE b = 1 UNION ALL SELECT a FROM t WHERE b = 2",
            "SELECT a FROM t WHERE b = 1 UNION ALL SELECT a FROM t WHERE b = 2 UNION ALL SELECT a FROM t WHERE b = 3",
        ),
        (
            "SELECT (a = 1 AND b = 2) OR (a = 3 AND b = 4)",
            "SELECT (a = 1 AND b = 2) OR (a = 3 AND b = 4) OR (a = 5 AND b = 6)",
        ),
    ] {
        let (few, many) = (normalize(few, Dialect::Postgres), normalize(many, Dialect::Postgres));
        assert_eq!(few.fingerprint, many.fingerprint, "{}\n{}", few.text, many.text);
        assert_eq!(few.text, many.text);
    }
    for (one, other) in [
        ("SELECT * FROM t WHERE a = 1 OR b = 2", "SELECT * FROM t WHERE a = 1 OR b = 2 OR c = 3"),
        ("SELECT CASE WHEN a THEN 1 WHEN b THEN 2 END", "SELECT CASE WHEN a THEN 1 WHEN c THEN 2 END"),
    ] {
        let (one, other) = (normalize(one, Dialect::Postgres), normalize(other, Dialect::Postgres));
        assert_ne!(one.fingerprint, other.fingerprint, "{}", one.text);
    }
}

/// A sender cuts off texts at a length: where, depends on the literals.
#[test]
fn a_statement_that_was_cut_off_in_parentheses_is_one_wherever_it_was() {
    let full = "INSERT INTO orders (id, name) SELECT id, name FROM stock WHERE id IN (SELECT id FROM t WHERE note = 'a long one' AND kind IN (1, 22, 333))";
    let begin = full.find("(SELECT").unwrap();
    let whole = normalize(full, Dialect::Postgres).fingerprint;
    let cut: std::collections::HashSet<u64> =
        (begin + 1..full.len()).map(|end| normalize(&full[..end], Dialect::Postgres).fingerprint).collect();
    assert_eq!(cut.len(), 1, "{cut:?}");
    assert!(!cut.contains(&whole));
}
