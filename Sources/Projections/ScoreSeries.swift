import Domain

/// The scores of one name in one experiment.
struct ScoreSeries: Sendable, Hashable {
    /// '' for a managed experiment.
    let function: String
    let experiment: String
    let name: String

    static func == (left: Self, right: Self) -> Bool {
        left.experiment.isExactly(right.experiment) && left.name.isExactly(right.name)
            && left.function.isExactly(right.function)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(exactly: function)
        hasher.combine(exactly: experiment)
        hasher.combine(exactly: name)
    }
}

/// The scores of one name of one unit.
struct UnitSeries: Sendable, Hashable {
    let series: ScoreSeries
    let unit: String

    static func == (left: Self, right: Self) -> Bool {
        left.unit.isExactly(right.unit) && left.series == right.series
    }

    /// The unit and the name tell nearly all apart, and hashing them alone is quicker.
    func hash(into hasher: inout Hasher) {
        hasher.combine(exactly: unit)
        hasher.combine(exactly: series.name)
    }

    /// The unit as the log knows it.
    var key: UnitKey? {
        if !series.function.isEmpty {
            return UnitKey(
                step: StepKey(function: series.function, name: series.experiment), run: unit)
        }
        return ResourceID(series.experiment).map { UnitKey(experiment: $0, subject: unit) }
    }
}

/// The units of one variant of one cohort, or definition, that have scores of one name.
struct ScoreArmKey: Sendable, Hashable {
    let series: ScoreSeries
    let cohort: Int32
    let variant: String

    static func == (left: Self, right: Self) -> Bool {
        left.cohort == right.cohort && left.variant.isExactly(right.variant)
            && left.series == right.series
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(cohort)
        hasher.combine(exactly: variant)
        series.hash(into: &hasher)
    }
}

/// A score as the projections keep it.
struct ProjectedScore: Sendable {
    var position: Int64
    /// Microseconds since the Unix epoch.
    var occurredAt: Int64
    /// Within ``valueMax``.
    var value: Double

    /// Results count values beyond it as this much, so that sums of them and of their squares stay
    /// finite.
    static let valueMax = 1e150

    init(position: Int64, occurredAt: Int64, value: Double) {
        self.position = position
        self.occurredAt = occurredAt
        // The sum makes 0 of -0, which compares the same and is written otherwise.
        self.value = min(max(value, -Self.valueMax), Self.valueMax) + 0
    }
}

/// What the scores of one name of one unit come to, without those taken back.
struct UnitScores: Sendable, Equatable {
    private(set) var scores: Int64 = 0
    /// Added up in the order of the log, which a rebuild keeps to, so that it rounds alike.
    private(set) var total = 0.0
    private(set) var least = 0.0
    private(set) var greatest = 0.0
    private(set) var latest = 0.0
    private(set) var latestAt: Int64 = 0
    private(set) var latestPosition: Int64 = 0

    init() {}

    /// What a row of `unit_scores` holds.
    init(
        scores: Int64, total: Double, least: Double, greatest: Double, latest: Double,
        latestAt: Int64, latestPosition: Int64
    ) {
        self.scores = scores
        self.total = total
        self.least = least
        self.greatest = greatest
        self.latest = latest
        self.latestAt = latestAt
        self.latestPosition = latestPosition
    }

    /// Adds a score; positions ascend from call to call.
    mutating func add(_ score: ProjectedScore) {
        let value = score.value
        if scores == 0 {
            (total, least, greatest) = (value, value, value)
        } else {
            total += value
            least = min(least, value)
            greatest = max(greatest, value)
        }
        if scores == 0 || score.occurredAt >= latestAt {
            (latest, latestAt, latestPosition) = (value, score.occurredAt, score.position)
        }
        scores += 1
    }

    /// The one number that the unit counts as.
    func value(_ aggregation: ScoreAggregation) -> Double {
        switch aggregation {
        case .latest: latest
        case .sum: total
        case .count: Double(scores)
        case .mean: total / Double(scores)
        case .min: least
        case .max: greatest
        }
    }
}

/// How several scores of a unit become one number.
package enum ScoreAggregation: String, Sendable, CaseIterable {
    case latest, sum, count, mean, min, max
}
