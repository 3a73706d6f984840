//! Interleaved rounds, and a table with median and spread.

use std::time::Instant;

/// One row: its name, and the nanoseconds for one operation in each round.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    nanos: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, nanos: Vec::new() }
    }

    /// Times one round of `operations` operations.
    #[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
    pub(crate) fn time(&mut self, operations: usize, round: impl FnOnce()) {
        let start = Instant::now();
        round();
        self.add(start.elapsed().as_nanos() as f64 / operations as f64);
    }

    pub(crate) fn add(&mut self, nanos: f64) {
        self.nanos.push(nanos);
    }

    /// The value below which a share of the rounds lies.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.nanos.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * share).round() as usize]
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// The middle of some values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints rows with their ratio to the first.
pub(crate) fn table(title: &str, rows: &[&Row]) {
    println!("\n{title}\n  {:<44} {:>9} {:>19} {:>7}", "", "median", "10–90 %", "ratio");
    let base = rows[0].median();
    for row in rows {
        if std::env::var_os("BMAP_BENCH_RAW").is_some() {
            println!("{:?}", row.nanos.iter().map(|nanos| nanos.round()).collect::<Vec<_>>());
        }
        println!(
            "  {:<44} {:>6.2} µs {:>8.2} – {:>5.2} µs {:>6.2}×",
            row.name,
            row.median() / 1000.0,
            row.quantile(0.1) / 1000.0,
            row.quantile(0.9) / 1000.0,
            row.median() / base,
        );
    }
}

/// Prints whether a goal was met in this run.
pub(crate) fn goal(what: &str, value: f64, limit: f64, at_most: bool) {
    let met = if at_most { value <= limit } else { value >= limit };
    let sign = if at_most { "≤" } else { "≥" };
    println!("  {} {what}: {value:.2} (goal {sign} {limit})", if met { "met   " } else { "MISSED" });
}
