import Domain

/// Which scores units have got and lost since the projections were last written.
struct ScoreChanges: Sendable {
    /// The changes of the scores of one name of one unit.
    struct Change: Sendable {
        /// The index of its arm among ``arms``.
        let arm: Int
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

    /// Arms that units changed in.
    private(set) var arms: [ScoreArmKey] = []
    private var armIndices: [ScoreArmKey: Int] = [:]
    private(set) var units: [UnitSeries: Change] = [:]
    private(set) var retractions: [Retraction] = []
    /// Scores of units without a variant, less those taken back.
    private(set) var unattributed: [ScoreSeries: Int64] = [:]
    /// The unit of the last event, where all its events are among these.
    private var firstUnit: (function: String, experiment: String, unit: String)?

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
        let arm = armIndex(fields)
        // A unit's scores of several names tend to come one behind the other.
        let isFirst = version == 2 || isFirstUnit(fields)
        if isFirst {
            firstUnit = (fields.function, fields.experiment, fields.unit)
        } else {
            firstUnit = nil
        }
        body(
            &units[
                UnitSeries(series: arms[arm].series, unit: fields.unit),
                default: Change(arm: arm, isFirst: isFirst)])
    }

    /// Few arms change at once, so looking through the first ones is quicker than hashing.
    private mutating func armIndex(_ fields: ScoreFields) -> Int {
        for index in arms.indices.prefix(8) where arms[index].isArm(of: fields) { return index }
        let arm = ScoreArmKey(
            series: fields.series, cohort: fields.cohort ?? 0, variant: fields.variant ?? "")
        if let index = armIndices[arm] { return index }
        armIndices[arm] = arms.count
        arms.append(arm)
        return arms.count - 1
    }

    private func isFirstUnit(_ fields: ScoreFields) -> Bool {
        guard let (function, experiment, unit) = firstUnit else { return false }
        return unit.isExactly(fields.unit) && experiment.isExactly(fields.experiment)
            && function.isExactly(fields.function)
    }
}

extension ScoreArmKey {
    fileprivate func isArm(of fields: ScoreFields) -> Bool {
        cohort == fields.cohort ?? 0 && variant.isExactly(fields.variant ?? "")
            && series.name.isExactly(fields.name)
            && series.experiment.isExactly(fields.experiment)
            && series.function.isExactly(fields.function)
    }
}
