import Domain

/// Which scores units have got and lost since the projections were last written.
struct ScoreChanges: Sendable {
    /// The changes of the scores of one name of one unit.
    struct Change: Sendable {
        let arm: ScoreArmKey
        /// Whether these are all the events that the unit has but the one that gave it its variant.
        let isFirst: Bool
        /// What the scores recorded come to, where they are all there are.
        var first = UnitScores()
        /// The scores recorded, where there may be others.
        var recorded: [ProjectedScore] = []
        /// Whether any score was taken back, perhaps one from before.
        var hasRetraction = false
        /// Booleans recorded, less those taken back.
        var booleans: Int64 = 0
    }

    /// A score that was taken back.
    struct Retraction: Sendable {
        let series: ScoreSeries
        /// Of the score.
        let position: Int64
        /// The position of the event that took it back.
        let by: Int64
    }

    private(set) var units: [UnitSeries: Change] = [:]
    private(set) var retractions: [Retraction] = []
    /// Scores of units without a variant, less those taken back.
    private(set) var unattributed: [ScoreSeries: Int64] = [:]
    /// Units whose first event after the one that gave them their variant is among these.
    private var firstUnits: Set<UnitSeries> = []

    mutating func record(_ fields: ScoreFields, _ position: Int64, _ version: Int64) {
        let series = fields.series
        guard fields.variant != nil else {
            unattributed[series, default: 0] += 1
            return
        }
        let score = ProjectedScore(
            position: position, occurredAt: fields.occurredAt, value: fields.value)
        change(fields, version) { change in
            if change.isFirst { change.first.add(score) } else { change.recorded.append(score) }
            if fields.isBoolean { change.booleans += 1 }
        }
    }

    /// While loading, only the table of scores has to know.
    mutating func retract(
        _ fields: ScoreFields, _ position: Int64, _ version: Int64, isLoading: Bool
    ) {
        guard let score = fields.retracts else { return }
        retractions.append(Retraction(series: fields.series, position: score, by: position))
        if isLoading { return }
        guard fields.variant != nil else {
            unattributed[fields.series, default: 0] -= 1
            return
        }
        change(fields, version) { change in
            change.hasRetraction = true
            if fields.isBoolean { change.booleans -= 1 }
        }
    }

    private mutating func change(
        _ fields: ScoreFields, _ version: Int64, _ body: (inout Change) -> Void
    ) {
        let series = fields.series
        let whole = UnitSeries(
            series: ScoreSeries(function: series.function, experiment: series.experiment, name: ""),
            unit: fields.unit)
        if version == 2 { firstUnits.insert(whole) }
        let arm = ScoreArmKey(
            series: series, cohort: fields.cohort ?? 0, variant: fields.variant ?? "")
        let isFirst = version == 2 || firstUnits.contains(whole)
        body(
            &units[
                UnitSeries(series: series, unit: fields.unit),
                default: Change(arm: arm, isFirst: isFirst)])
    }
}
