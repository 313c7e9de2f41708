import Domain

/// Runs counted by experiment, definition, variant and day (UTC).
struct SelectionCounts: Sendable {
    struct Arm: Sendable, Hashable {
        let step: StepKey
        let definition: Int32
        let variant: ExactText
        /// Since 1970-01-01.
        let day: Int32
    }

    private(set) var runs: [Arm: Int64] = [:]

    mutating func count(_ fields: SelectionFields, at recordedAt: Int64) {
        let arm = Arm(
            step: StepKey(function: fields.function, name: fields.experiment),
            definition: fields.definition, variant: ExactText(fields.variant),
            day: ArmCounts.day(recordedAt))
        runs[arm, default: 0] += 1
    }
}
