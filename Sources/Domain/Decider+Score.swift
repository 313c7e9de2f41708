extension Decider {
    /// Records scores, each credited to the variant its unit has.
    mutating func score(_ requests: [ScoreRequest]) throws(Refusal) {
        var problems: [Problem] = []
        for (index, request) in requests.enumerated() {
            if case .managed(let id) = request.unit.experiment {
                try check(request.seal, id, always: true)
            }
            if let problem = problem(request) {
                let place = requests.count == 1 ? "" : "/\(index)"
                problems.append(Problem(place + problem.pointer, problem.detail))
            }
        }
        guard problems.isEmpty else { throw .invalid(problems) }
        for request in requests { record(request) }
    }

    private func problem(_ request: ScoreRequest) -> Problem? {
        let unit = request.unit
        guard let placement = facts.placements[unit] else {
            if !exists(unit.experiment) {
                return Problem("/experiment", "There is no experiment \(unit.experiment).")
            }
            if request.quarantinesUnknown {
                return request.variant == nil
                    ? nil
                    : Problem(
                        "/variant",
                        "\(request.unitText) has no variant of \(unit.experiment); leave variant out "
                            + "of a score that is to be kept unattributed.")
            }
            let verb = if case .managed = unit.experiment { "Assign it" } else { "Select one" }
            return Problem(
                "/\(unit.field)",
                "\(request.unitText) has no variant of \(unit.experiment). \(verb) first, or "
                    + #"send "onUnknownUnit": "quarantine" to keep the score unattributed."#)
        }
        if let variant = request.variant, !unit.isSameVariant(variant, placement.variant) {
            return Problem(
                "/variant",
                "\(request.unitText) has variant \(placement.variant) of \(unit.experiment), not "
                    + "\(variant); leave variant out, or score the unit that has it.")
        }
        return nil
    }

    private func exists(_ experiment: ExperimentKey) -> Bool {
        switch experiment {
        case .managed(let id): state.experiments[id] != nil
        case .step(let step): state.steps[step] != nil
        }
    }

    /// Records a score that was found right.
    private mutating func record(_ request: ScoreRequest) {
        let unit = request.unit
        let placement = facts.placements[unit]
        let event = LedgerEvent.scoreRecorded(
            ScoreRecorded(
                unit: unit, variant: placement?.variant, cohort: placement?.cohort,
                name: request.name, value: request.value, occurredAt: request.occurredAt ?? now,
                stepID: request.stepID, metadata: request.metadata,
                sealed: placement == nil ? request.seal?.ciphertext : nil))
        record(event, version: nextVersion(unit, placement), id: request.id)
    }

    /// Counts one more event of the stream of a unit's scores: its own, where it has a place.
    private mutating func nextVersion(_ unit: UnitKey, _ placement: Placement?) -> Int64 {
        guard var placement else {
            facts.unattributed[unit, default: 0] += 1
            return facts.unattributed[unit, default: 0]
        }
        placement.version += 1
        place(unit, placement)
        return placement.version
    }

    /// Takes a score back; one that is taken back already is left as it is.
    mutating func retract(_ request: RetractionRequest) throws(Refusal) {
        guard let known = facts.scores[request.position] else {
            throw Refusal(
                .notFound,
                "There is no score at position \(request.position); the answer to a recorded score "
                    + "says where it is.")
        }
        if known.isRetracted { return }
        facts.scores[request.position]?.isRetracted = true
        let score = known.score
        let placement = score.variant == nil ? nil : facts.placements[score.unit]
        let retracted = ScoreRetracted(
            score: score, position: request.position, reason: request.reason)
        record(.scoreRetracted(retracted), version: nextVersion(score.unit, placement))
    }
}

extension UnitKey {
    /// The member of a request that names the unit.
    fileprivate var field: String { if case .managed = experiment { "subject" } else { "run" } }

    /// IDs of managed variants are the same in upper and lower case; names of others are exact.
    fileprivate func isSameVariant(_ named: String, _ variant: String) -> Bool {
        if named.isExactly(variant) { return true }
        guard case .managed = experiment else { return false }
        return ResourceID(named)?.text == variant
    }
}
