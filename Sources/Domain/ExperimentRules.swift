/// The rules an experiment's document has to keep, by itself and against what is stored.
extension ExperimentDocument {
    /// Everything wrong with the document; empty where it can be applied.
    package func problems(against current: Experiment?, reopening: Bool) -> [Problem] {
        limitProblems() + variantProblems(current) + cohortProblems(current)
            + statusProblems(current, reopening: reopening)
    }

    // MARK: Variants

    private func variantProblems(_ current: Experiment?) -> [Problem] {
        var problems: [Problem] = []
        var seen: Set<ResourceID> = []
        var control: ResourceID?
        for (index, variant) in variants.enumerated() {
            if !seen.insert(variant.id).inserted {
                problems.append(
                    Problem("/spec/variants/\(index)/id", "Variant \(variant.id) is listed twice."))
            }
            guard variant.isControl else { continue }
            if let control {
                problems.append(
                    Problem(
                        "/spec/variants/\(index)/isControl",
                        "Only one variant can be the control, and \(control) is."))
            }
            control = variant.id
        }
        for variant in current?.variants ?? [] where !seen.contains(variant.id) {
            guard let cohort = current?.cohort(naming: variant.id) else { continue }
            problems.append(
                Problem(
                    "/spec/variants",
                    "Variant \(variant.id) is named by cohort \(cohort.index) and can't be removed; "
                        + "list it."))
        }
        return problems
    }

    // MARK: Cohorts

    private func cohortProblems(_ current: Experiment?) -> [Problem] {
        var problems: [Problem] = []
        let stored = current?.cohorts ?? []
        if cohorts.count < stored.count {
            problems.append(
                Problem(
                    "/spec/cohorts",
                    "The experiment has \(stored.count) cohorts and the document \(cohorts.count); "
                        + "cohorts are never removed, so list them all."))
        }
        if cohorts.count > stored.count, let status = current?.status, status >= .winnerDeclared,
            (self.status ?? status) >= .winnerDeclared
        {
            problems.append(
                Problem(
                    "/spec/cohorts",
                    "A cohort can't be added to an experiment that is \(status.rawValue)."))
        }
        for (offset, cohort) in cohorts.enumerated() {
            let pointer = "/spec/cohorts/\(offset)"
            if cohort.index != offset + 1 {
                problems.append(
                    Problem(
                        "\(pointer)/index",
                        "Cohort indexes run 1, 2, 3 …: this one must be \(offset + 1), not "
                            + "\(cohort.index)."))
            }
            if offset < stored.count {
                problems += cohort.problems(against: stored[offset], pointer)
            } else {
                problems += splitProblems(cohort, pointer)
            }
        }
        return problems
    }

    private func splitProblems(_ cohort: CohortDocument, _ pointer: String) -> [Problem] {
        var problems: [Problem] = []
        var seen: Set<ResourceID> = []
        for (index, split) in cohort.splits.enumerated() {
            let place = "\(pointer)/variants/\(index)"
            if !seen.insert(split.variant).inserted {
                problems.append(
                    Problem("\(place)/variant", "Variant \(split.variant) is listed twice."))
            }
            if !variants.contains(where: { $0.id == split.variant }) {
                let known = variants.map(\.id.text).joined(separator: ", ")
                problems.append(
                    Problem(
                        "\(place)/variant",
                        "\(split.variant) is none of the experiment's variants (\(known))."))
            }
            if !(0...1).contains(split.split) {
                problems.append(Problem("\(place)/split", "A split is between 0 and 1."))
            }
        }
        let sum = cohort.splits.reduce(0) { $0 + $1.split }
        if (sum * 1_000).rounded() != 1_000 {
            problems.append(
                Problem(
                    "\(pointer)/variants",
                    "The splits of cohort \(cohort.index) add up to "
                        + "\((sum * 10_000).rounded() / 10_000), not 1.000."))
        }
        return problems
    }

    // MARK: Status

    private func statusProblems(_ current: Experiment?, reopening: Bool) -> [Problem] {
        let before = current?.status ?? .draft
        let target = status ?? before
        var problems: [Problem] = []
        if target < before && !reopening {
            problems.append(
                Problem(
                    "/metadata/status",
                    "The experiment is \(before.rawValue); to take it back to \(target.rawValue), "
                        + "ask for a reopening and give the reason."))
        }
        if target == .active || target == .winnerDeclared {
            if variants.isEmpty {
                problems.append(
                    Problem("/spec/variants", "To be \(target.rawValue) it needs a variant."))
            }
            if cohorts.isEmpty {
                problems.append(
                    Problem("/spec/cohorts", "To be \(target.rawValue) it needs a cohort."))
            }
        }
        problems += winnerProblems(target)
        if target >= .ended, endedReason == nil, current?.endedReason == nil {
            problems.append(
                Problem("/spec/endedReason", "Say why it ended: \(EndedReason.rule)."))
        }
        if target < .ended, endedReason != nil {
            problems.append(
                Problem(
                    "/spec/endedReason",
                    "endedReason goes with status ended or archived, not \(target.rawValue)."))
        }
        if let current, current.status != .draft, current.subjectType != subjectType {
            problems.append(
                Problem(
                    "/spec/subjectType",
                    "The subject type is \(current.subjectType) and can't change once the "
                        + "experiment has been active."))
        }
        if let current, current.hasBeenActive, current.isSealed != isSealed {
            problems.append(
                Problem(
                    "/spec/sealed",
                    current.isSealed
                        ? "The experiment seals its subjects, and has been active: write sealed: "
                            + "true."
                        : "The experiment has been active with its subjects in plain text; seal "
                            + "them in a new experiment."))
        }
        return problems
    }

    private func winnerProblems(_ target: ExperimentStatus) -> [Problem] {
        let pointer = "/spec/winningVariant"
        switch (target, winningVariant) {
        case (.winnerDeclared, nil):
            return [
                Problem(pointer, "winner_declared needs winningVariant, one of the variants.")
            ]
        case (.winnerDeclared, let winner?):
            if variants.contains(where: { $0.id == winner }) { return [] }
            let known = variants.map(\.id.text).joined(separator: ", ")
            return [
                Problem(pointer, "\(winner) is none of the experiment's variants (\(known)).")
            ]
        case (_, nil): return []
        case (_, _?):
            return [
                Problem(
                    pointer,
                    "winningVariant goes with status winner_declared, not \(target.rawValue); "
                        + "leave it empty.")
            ]
        }
    }
}

extension CohortDocument {
    /// An existing cohort never changes; the order of its splits in the document is no change.
    fileprivate func problems(against stored: Cohort, _ pointer: String) -> [Problem] {
        var problems: [Problem] = []
        if let createdAt, createdAt != stored.createdAt {
            problems.append(
                Problem(
                    "\(pointer)/createdAt",
                    "Cohort \(stored.index) was created at \(stored.createdAt) and never changes; "
                        + "give that value or leave createdAt out."))
        }
        let same =
            splits.count == stored.splits.count
            && stored.splits.allSatisfy { splits.contains($0) }
        if !same {
            let splits = stored.splits.map { "\($0.variant) \($0.split)" }
            problems.append(
                Problem(
                    "\(pointer)/variants",
                    "Cohort \(stored.index) has the splits \(splits.joined(separator: ", ")) and "
                        + "never changes; add cohort \(stored.index + 1) instead."))
        }
        return problems
    }
}
