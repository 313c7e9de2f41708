import JSON

/// Proposed events about units: what the ledger finds out for itself has to agree.
extension Decider {
    mutating func appendSelection(_ proposal: ProposedEvent) throws(Refusal) {
        let problems = Problems()
        let request = SelectionRequest(selected: proposal.data, "/data", problems)
        guard problems.list.isEmpty, let request else { throw .invalid(problems.list) }
        try refusePlaced(request.key, proposal)
        let first = recorded
        do throws(Refusal) { try select(request) } catch {
            throw error.pointing { "/data\($0)" }
        }
        let index = recorded - 1
        guard index >= first, case .variantSelected(let selected) = decidedEvent(index) else {
            return
        }
        try selected.compare(DocumentReader(proposal.data, "/data", problems), problems)
        identify(index, since: first, proposal)
    }

    mutating func appendRollout(_ proposal: ProposedEvent) throws(Refusal) {
        let problems = Problems()
        let read = RolloutRequest.Entry.read(proposal.data, "/data", problems)
        guard problems.list.isEmpty, let (step, entry) = read else {
            throw .invalid(problems.list)
        }
        let key = RolloutKey(step, entry.key)
        try check(proposal, stream: key.stream, version: facts.rollouts[key]?.version ?? 0)
        let first = recorded
        do throws(Refusal) { try rollOut(step, RolloutRequest(entries: [entry])) } catch {
            throw error.pointing { _ in "/data/variant" }
        }
        guard recorded > first else {
            throw Refusal(.conflict, "\(key.stream) is already as RolloutChanged would make it.")
        }
        let wrong = decidedEvent(first).contradictions(in: proposal.data)
        guard wrong.isEmpty else { throw .invalid(wrong) }
        identify(first, since: first, proposal)
    }

    mutating func appendScore(_ proposal: ProposedEvent) throws(Refusal) {
        let problems = Problems()
        let request = ScoreRequest(recorded: proposal.data, "/data", problems)
        guard problems.list.isEmpty, let request else { throw .invalid(problems.list) }
        if case .managed(let id) = request.unit.experiment { try refuseSealed(id) }
        let placement = facts.placements[request.unit]
        let version = placement?.version ?? facts.unattributed[request.unit] ?? 0
        let stream =
            placement == nil && request.quarantinesUnknown
            ? StreamName.unattributed(request.unit) : request.unit.stream
        try check(proposal, stream: stream, version: version)
        let first = recorded
        do throws(Refusal) { try score([request]) } catch {
            throw error.pointing { "/data\($0)" }
        }
        guard case .scoreRecorded(let score) = decidedEvent(first) else { return }
        try score.compare(DocumentReader(proposal.data, "/data", problems), problems)
        identify(first, since: first, proposal)
    }

    mutating func appendRetraction(_ proposal: ProposedEvent) throws(Refusal) {
        let problems = Problems()
        let request = RetractionRequest(retracted: proposal.data, "/data", problems)
        guard problems.list.isEmpty, let request else { throw .invalid(problems.list) }
        if let score = facts.scores[request.position]?.score {
            let version =
                score.variant == nil
                ? facts.unattributed[score.unit] : facts.placements[score.unit]?.version
            try check(
                proposal, stream: LedgerEvent.scoreRecorded(score).stream, version: version ?? 0)
        }
        let first = recorded
        try retract(request)
        guard recorded > first else {
            throw Refusal(
                .conflict, "The score at position \(request.position) is taken back already.")
        }
        let event = decidedEvent(first)
        let wrong =
            event.unknownFields(in: proposal.data) + event.contradictions(in: proposal.data)
        guard wrong.isEmpty else { throw .invalid(wrong) }
        identify(first, since: first, proposal)
    }
}

extension AssignmentMade {
    /// Notes where a proposal says something else than the ledger found out.
    func compare(_ reader: DocumentReader, _ problems: Problems) throws(Refusal) {
        if let named = reader.id("variant"), named != variant {
            reader.problem("variant", "The draw gives \(subject) variant \(variant).")
        }
        if let named = reader.id("subjectType"), named != subjectType {
            reader.problem("subjectType", "The experiment's is \(subjectType).")
        }
        if let named = reader.integer("cohort"), named != Int64(cohort) {
            reader.problem("cohort", "The newest cohort is \(cohort).")
        }
        if let named = reader.number("u"), named != u {
            reader.problem("u", "The draw falls on \(u).")
        }
        guard problems.list.isEmpty else { throw .invalid(problems.list) }
    }
}

extension VariantSelected {
    fileprivate func compare(_ reader: DocumentReader, _ problems: Problems) throws(Refusal) {
        if let named = reader.text("variant"), !named.isExactly(variant) {
            reader.problem("variant", "The strategy gives run \(run) variant \(variant).")
        }
        if let named = reader.number("h"), named != h {
            reader.problem("h", h.map { "The draw falls on \($0)." } ?? "Nothing is drawn here.")
        }
        if let named = reader.integer("definition"), named != Int64(definition) {
            reader.problem("definition", "This is definition \(definition).")
        }
        if let named = reader.text("bucketHash"), named != bucketHash {
            reader.problem("bucketHash", "Only a bucket's value has a hash.")
        }
        if reader.bool("nullishBucket") == true {
            reader.problem("nullishBucket", "Only a bucket's value can be missing.")
        }
        if let named = reader.integer("rollout"), named != rollout {
            reader.problem("rollout", "No entry at this position named the variant.")
        }
        guard problems.list.isEmpty else { throw .invalid(problems.list) }
    }
}

extension ScoreRecorded {
    fileprivate func compare(_ reader: DocumentReader, _ problems: Problems) throws(Refusal) {
        for field in ["cohort", "definition"] {
            guard let named = reader.integer(field) else { continue }
            if named != cohort.map({ Int64($0) }) {
                let known = cohort.map { "The unit's is \($0)." } ?? "The unit has none."
                reader.problem(field, known)
            }
        }
        if variant != nil, reader.bool("unattributed") == true {
            reader.problem("unattributed", "The unit has a variant; leave unattributed out.")
        }
        guard problems.list.isEmpty else { throw .invalid(problems.list) }
    }
}
