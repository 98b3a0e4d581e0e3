//! `rule_evaluations`: what each evaluation of each rule came to, failures too: a rule that silently says nothing is seen.

use chrono::{DateTime, Utc};
use dogwatch_alerting::Outcome;
use serde::Serialize;

use crate::Store;
use crate::error::StoreError;
use crate::partitions::EVALUATIONS;

/// Evaluations that one look returns.
const MAX_ROWS: i64 = 10_000;

/// What a rule has come to over one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleEvaluation {
    /// The rule.
    pub rule: String,
    /// Where the window ended.
    pub evaluated_at: DateTime<Utc>,
    /// The worst of all its figures.
    pub outcome: Outcome,
    /// Figures beyond the threshold.
    pub breaching: i32,
    /// Figures that are well.
    pub well: i32,
    /// Figures with too little to say.
    pub without_data: i32,
    /// The figure that was farthest off.
    pub worst_value: Option<f64>,
    /// Of what it was.
    pub worst_scope: Option<String>,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: f64,
}

impl Store {
    /// Keeps evaluations. The same rule and window again replaces what it came to before.
    pub async fn insert_rule_evaluations(&self, evaluations: &[RuleEvaluation]) -> Result<(), StoreError> {
        self.ensure_days(EVALUATIONS, evaluations.iter().map(|evaluation| evaluation.evaluated_at)).await?;
        let failed = || StoreError::query("store what rules came to");
        let mut transaction = self.pool.begin().await.map_err(failed())?;
        for evaluation in evaluations {
            let insert = sqlx::query!(
                r#"
                INSERT INTO rule_evaluations (
                    rule, evaluated_at, outcome, breaching, well, without_data, worst_value, worst_scope, error, took_ms
                )
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                ON CONFLICT (evaluated_at, rule) DO UPDATE SET
                    outcome = excluded.outcome, breaching = excluded.breaching, well = excluded.well,
                    without_data = excluded.without_data, worst_value = excluded.worst_value,
                    worst_scope = excluded.worst_scope, error = excluded.error, took_ms = excluded.took_ms
                "#,
                evaluation.rule,
                evaluation.evaluated_at,
                evaluation.outcome.as_str(),
                evaluation.breaching,
                evaluation.well,
                evaluation.without_data,
                evaluation.worst_value,
                evaluation.worst_scope,
                evaluation.error,
                evaluation.took_ms
            );
            insert.execute(&mut *transaction).await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }

    /// What a rule came to since a time, the last first.
    pub async fn rule_evaluations(
        &self,
        rule: &str,
        since: DateTime<Utc>,
    ) -> Result<Vec<RuleEvaluation>, StoreError> {
        let rows = sqlx::query!(
            "SELECT rule, evaluated_at, outcome, breaching, well, without_data, worst_value, worst_scope, error, took_ms
             FROM rule_evaluations WHERE rule = $1 AND evaluated_at >= $2 ORDER BY evaluated_at DESC LIMIT $3",
            rule,
            since,
            MAX_ROWS
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(StoreError::query("read what a rule came to"))?;
        rows.into_iter()
            .map(|row| {
                Ok(RuleEvaluation {
                    outcome: row
                        .outcome
                        .parse()
                        .map_err(|_| StoreError::Word { what: "outcome", word: row.outcome })?,
                    rule: row.rule,
                    evaluated_at: row.evaluated_at,
                    breaching: row.breaching,
                    well: row.well,
                    without_data: row.without_data,
                    worst_value: row.worst_value,
                    worst_scope: row.worst_scope,
                    error: row.error,
                    took_ms: row.took_ms,
                })
            })
            .collect()
    }
}
