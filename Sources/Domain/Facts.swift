/// What a decision has to know beyond the state: a few of very many things, looked up for it.
package struct Facts: Sendable {
    /// Units that have their variant.
    package var placements: [UnitKey: Placement]
    /// Entries that rollout tables have, or had.
    package var rollouts: [RolloutKey: RolloutEntry] = [:]
    /// Versions of the streams of scores of units that have no variant.
    package var unattributed: [UnitKey: Int64] = [:]
    /// Scores that may be taken back, by their positions.
    package var scores: [Int64: KnownScore] = [:]
    /// Sealed subjects that are to be erased, by their tokens.
    package var sealedSubjects: [String: KnownSubject] = [:]

    package init(placements: [UnitKey: Placement] = [:]) { self.placements = placements }
}

/// Names an entry of a rollout table.
package struct RolloutKey: Sendable, Hashable {
    package let step: StepKey
    package let key: String

    package init(_ step: StepKey, _ key: String) {
        self.step = step
        self.key = key
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.key.isExactly(right.key) && left.step == right.step
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(exactly: key)
        step.hash(into: &hasher)
    }

    package var stream: String { StreamName.rollout(step, key) }
}

/// What a rollout table says of a key.
package struct RolloutEntry: Sendable, Equatable {
    /// Nil once it was taken out.
    package var variant: String?
    /// Of the event that says so.
    package var position: Int64
    /// Of the key's stream.
    package var version: Int64

    package init(variant: String?, position: Int64, version: Int64) {
        self.variant = variant
        self.position = position
        self.version = version
    }
}

/// A score in the log.
package struct KnownScore: Sendable, Equatable {
    package var score: ScoreRecorded
    package var isRetracted: Bool

    package init(score: ScoreRecorded, isRetracted: Bool) {
        self.score = score
        self.isRetracted = isRetracted
    }
}

/// What a command's decision asks for.
package struct FactsNeeded: Sendable {
    /// Units that get their variant unless they have it.
    package var placed: [UnitKey] = []
    /// Units that should have their variant.
    package var scored: [UnitKey] = []
    /// Those among them whose scores are kept even if they have none.
    package var quarantined: [UnitKey] = []
    package var rollouts: [RolloutKey] = []
    /// Positions of scores.
    package var scores: [Int64] = []
    /// Tokens of subjects.
    package var sealedSubjects: [String] = []

    package init() {}

    package mutating func add(_ command: Command) {
        switch command {
        case .assign(let experiment, let subjects):
            placed += subjects.map { UnitKey(experiment: experiment, subject: $0) }
        case .assignSubject(let subject, let experiments):
            placed += experiments.map { UnitKey(experiment: $0, subject: subject) }
        case .assignSealed(let questions): placed += questions.map(\.unit)
        case .erase(let request): sealedSubjects += [request?.token].compactMap { $0 }
        case .select(let request): add(request)
        case .rollOut(let step, let request):
            rollouts += request.entries.map { RolloutKey(step, $0.key) }
        case .score(let requests): for request in requests { add(request) }
        case .retract(let request): scores.append(request.position)
        case .append(let proposals): for proposal in proposals { add(proposal) }
        case .apply, .step, .createKey, .revokeKey, .webhook: return
        }
    }

    private mutating func add(_ request: SelectionRequest) {
        placed.append(request.key)
        if let key = request.rolloutKey { rollouts.append(key) }
    }

    private mutating func add(_ request: ScoreRequest) {
        scored.append(request.unit)
        if request.quarantinesUnknown { quarantined.append(request.unit) }
    }

    /// Read as the decision reads it, or it would not find what there is.
    private mutating func add(_ proposal: ProposedEvent) {
        let problems = Problems()
        switch proposal.type {
        case "AssignmentMade":
            let reader = DocumentReader(proposal.data, "", problems)
            guard let subject = reader.text("subject"), let experiment = reader.id("experiment")
            else { return }
            placed.append(UnitKey(experiment: experiment, subject: subject))
        case "VariantSelected":
            if let request = SelectionRequest(selected: proposal.data, "", problems) {
                add(request)
            }
        case "RolloutChanged":
            if let (step, entry) = RolloutRequest.Entry.read(proposal.data, "", problems) {
                rollouts.append(RolloutKey(step, entry.key))
            }
        case "ScoreRecorded":
            if let request = ScoreRequest(recorded: proposal.data, "", problems) { add(request) }
        case "ScoreRetracted":
            if let request = RetractionRequest(retracted: proposal.data, "", problems) {
                scores.append(request.position)
            }
        default: return
        }
    }
}
