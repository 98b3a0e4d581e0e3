//! What rules look at: requests and queries of a window, told apart by as much as a rule wants.

use std::cmp::Reverse;
use std::collections::HashMap;

use dogwatch_alerting::{Dimension, Scope};

use crate::Store;
use crate::error::StoreError;
use crate::request_metrics::OPERATION;
use crate::rollup::Rollup;
use crate::series::Subject;
use crate::windows::Window;

/// Figures that one look returns: the busiest.
const MAX_FIGURES: usize = 5000;

/// How many, how long, how many failed.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Of what.
    pub scope: Scope,
    /// How many.
    pub count: i64,
    /// Those that failed.
    pub errors: i64,
    rollup: Rollup,
}

impl Figures {
    /// Mean time.
    pub fn mean_ms(&self) -> Option<f64> {
        self.rollup.mean_ms()
    }

    /// The time below which this part lies, with a relative error below 1 %.
    pub fn quantile_ms(&self, part: f64) -> Option<f64> {
        self.rollup.quantile_ms(part)
    }

    /// The longest time.
    pub fn max_ms(&self) -> Option<f64> {
        (self.count > 0).then_some(self.rollup.max_ms)
    }
}

struct Series {
    id: i32,
    tenant: Option<String>,
    service: String,
    method: Option<String>,
    endpoint: Option<String>,
    fingerprint: Option<i64>,
}

impl Series {
    fn scope(self, by: &[Dimension]) -> Scope {
        let endpoint = self.method.as_ref().zip(self.endpoint.as_ref());
        let parts = [
            (Dimension::Endpoint, endpoint.map(|(method, route)| format!("{method} {route}"))),
            (Dimension::Tenant, self.tenant),
            (Dimension::Service, Some(self.service)),
            (Dimension::Query, self.fingerprint.map(|print| format!("{print:016x}"))),
        ];
        let told_apart = parts.into_iter().filter(|(dimension, _)| by.contains(dimension));
        Scope::of(told_apart.filter_map(|(dimension, value)| Some((dimension, value?))))
    }
}

impl Store {
    /// Requests of a window, where `only` is what they have to be, told apart by `by`. What was timed by hand is none.
    pub async fn request_figures(
        &self,
        window: Window,
        only: &Scope,
        by: &[Dimension],
    ) -> Result<Vec<Figures>, StoreError> {
        self.figures(window, Subject::Request, only, by).await
    }

    /// Calls of queries of a window, where `only` is who made them, told apart by `by`.
    pub async fn query_figures(
        &self,
        window: Window,
        only: &Scope,
        by: &[Dimension],
    ) -> Result<Vec<Figures>, StoreError> {
        self.figures(window, Subject::Query, only, by).await
    }

    async fn figures(
        &self,
        window: Window,
        subject: Subject,
        only: &Scope,
        by: &[Dimension],
    ) -> Result<Vec<Figures>, StoreError> {
        let series = sqlx::query_as!(
            Series,
            "SELECT id, tenant, service, method, endpoint, fingerprint FROM metric_series
             WHERE subject = $1 AND ($2::text IS NULL OR tenant = $2) AND ($3::text IS NULL OR service = $3)
               AND ($4::text IS NULL OR method || ' ' || endpoint = $4) AND method IS DISTINCT FROM $5",
            subject.as_str(),
            only.get(Dimension::Tenant),
            only.get(Dimension::Service),
            only.get(Dimension::Endpoint),
            OPERATION
        );
        let series = series.fetch_all(&self.pool).await.map_err(StoreError::query("look for series"))?;
        let ids: Vec<i32> = series.iter().map(|series| series.id).collect();
        let mut figures: Vec<Figures> = Vec::new();
        let mut places: HashMap<Scope, usize> = HashMap::new();
        let mut place_of: HashMap<i32, usize> = HashMap::with_capacity(series.len());
        for series in series {
            let id = series.id;
            let scope = series.scope(by);
            let place = *places.entry(scope.clone()).or_insert_with(|| {
                figures.push(Figures { scope, count: 0, errors: 0, rollup: Rollup::default() });
                figures.len() - 1
            });
            place_of.insert(id, place);
        }
        self.read_rollups(window, subject, &ids, |id, row| figures[place_of[&id]].rollup.add(row)).await?;
        figures.retain(|figures| figures.rollup.count > 0);
        for figures in &mut figures {
            (figures.count, figures.errors) = (figures.rollup.count, figures.rollup.errors);
        }
        figures.sort_by_key(|figures| Reverse(figures.count));
        figures.truncate(MAX_FIGURES);
        Ok(figures)
    }
}
