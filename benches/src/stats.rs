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
        quantile(&sorted, share)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// This row's ratio to another in each round: what slowed both down falls out of it.
    pub(crate) fn by_round(&self, other: &Row) -> Row {
        let rounds = self.nanos.iter().zip(&other.nanos);
        Self { name: self.name, nanos: rounds.map(|(nanos, other)| nanos / other).collect() }
    }
}

/// The value below which a share of sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The middle of some values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints rows with their ratio to the first: that of the medians, and the median of the rounds' ratios with its spread.
pub(crate) fn table(title: &str, rows: &[&Row]) {
    println!(
        "\n{title}\n  {:<44} {:>9} {:>19} {:>7}   each round's ratio: median, 10–90 %",
        "", "median", "10–90 %", "ratio"
    );
    let base = rows[0];
    for row in rows {
        if std::env::var_os("BMAP_BENCH_RAW").is_some() {
            println!("{:?}", row.nanos.iter().map(|nanos| nanos.round()).collect::<Vec<_>>());
        }
        let ratios = row.by_round(base);
        println!(
            "  {:<44} {:>6.2} µs {:>8.2} – {:>5.2} µs {:>6.2}×   {:>6.2}× {:>9.2} – {:>5.2}×",
            row.name,
            row.median() / 1000.0,
            row.quantile(0.1) / 1000.0,
            row.quantile(0.9) / 1000.0,
            row.median() / base.median(),
            ratios.median(),
            ratios.quantile(0.1),
            ratios.quantile(0.9),
        );
    }
}

/// Prints whether a goal was met in this run.
pub(crate) fn goal(what: &str, value: f64, limit: f64, at_most: bool) {
    let met = if at_most { value <= limit } else { value >= limit };
    let sign = if at_most { "≤" } else { "≥" };
    println!("  {} {what}: {value:.2} (goal {sign} {limit})", if met { "met   " } else { "MISSED" });
}

/// The machine's time so far, all cores together, and how much of it its host gave to other guests.
pub(crate) struct MachineTime {
    all: u64,
    stolen: u64,
}

impl MachineTime {
    /// Reads Linux's count (proc_stat(5)); `None` elsewhere.
    pub(crate) fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user and nice already.
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Vec<u64> = line.split_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
        Some(Self { all: times.iter().sum(), stolen: *times.get(7)? })
    }

    /// Prints the share that went to other guests since then.
    pub(crate) fn print_stolen(&self) {
        if let Some(now) = Self::now() {
            let share = (now.stolen - self.stolen) as f64 / (now.all - self.all).max(1) as f64;
            println!("\nOf the machine's time in this run, {:.1} % went to other guests of its host.", 100.0 * share);
        }
    }
}
