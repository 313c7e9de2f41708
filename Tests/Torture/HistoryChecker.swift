import EventLog

/// Something that a ledger may not do, and did.
package struct Finding: Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        /// A line of the log that is no event.
        case malformed
        /// Positions or a stream's versions that do not count on by one.
        case gap
        /// An event that is earlier than the one in front of it.
        case timeRunsBack
        /// The lines' tree is not the one the head claims.
        case wrongRoot
        /// Something is in the log twice: a subject assigned again, a command done again.
        case repeated
        /// Something is in the log that nobody asked for.
        case unasked
        /// Something was acknowledged and is not in the log.
        case lost
        /// Something was acknowledged and is otherwise in the log.
        case changed
        /// Of what was asked for in one request only a part is in the log.
        case torn
        /// One position was said to hold different events.
        case positionReused
        /// A request was answered differently when it was repeated.
        case answerChanged
        /// An answer shows what is beyond the position it claims.
        case ahead
        /// An answer lacks what is within the position it claims.
        case behind
        /// A page has lines that the log has not, or lacks some that it has.
        case wrongPage
        /// The position that was asked for was not waited for.
        case impatient
        /// Something asked for after another was acknowledged stands before it.
        case disordered
        /// A request that breaks no rule was refused.
        case refused
        /// A tool of the ledger's own found fault with the database.
        case unverified
        /// The ledger did not come back.
        case stuck
    }

    package var kind: Kind
    package var text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    package var description: String { "\(kind.rawValue): \(text)" }
}

/// Holds what clients were told against the log that was there in the end.
///
/// It knows no ledger, only what one promises: what is acknowledged is in the log once and stays as
/// it was said; the log is one sequence without a gap; every answer shows the log up to one
/// position and no further; what is asked for after an acknowledgement stands behind it.
package struct HistoryChecker {
    private let history: [Operation]
    private let log: FinalLog
    private var findings: [Finding]

    /// All that is wrong with a history, given the lines of the log and its claimed root.
    package static func check(
        _ history: [Operation], lines: [[UInt8]], root: String
    ) -> [Finding] {
        var checker = HistoryChecker(history, FinalLog(lines))
        checker.checkLog(root)
        checker.checkAnswers()
        checker.checkWholeness()
        checker.checkRepetitions()
        checker.checkOrder()
        return checker.findings
    }

    private init(_ history: [Operation], _ log: FinalLog) {
        self.history = history
        self.log = log
        findings = log.findings
    }

    private mutating func find(_ kind: Finding.Kind, _ text: String) {
        findings.append(Finding(kind, text))
    }

    // MARK: The log alone

    private mutating func checkLog(_ root: String) {
        var versions: [String: Int64] = [:]
        var last: FinalLog.Entry?
        for entry in log.entries {
            if entry.position != (last?.position ?? 0) + 1 {
                find(.gap, "position \(entry.position) follows \(last?.position ?? 0)")
            }
            // All have the same number of digits, so they compare as texts.
            if let last, entry.recordedAt < last.recordedAt {
                find(
                    .timeRunsBack,
                    "position \(entry.position) was recorded at \(entry.recordedAt), the one before "
                        + "at \(last.recordedAt)")
            }
            let version = versions[entry.stream, default: 0] + 1
            if entry.version != version {
                find(.gap, "\(entry.stream) goes on with version \(entry.version), not \(version)")
            }
            versions[entry.stream] = entry.version
            last = entry
        }
        if log.tree.root.description != root {
            find(.wrongRoot, "the lines' root is \(log.tree.root), the head says \(root)")
        }
        checkAsked()
    }

    /// Types of events that happen only because a client asks.
    private static let askedTypes: Set = [
        "AssignmentMade", "VariantSelected", "ScoreRecorded", "LabCreated",
    ]

    private mutating func checkAsked() {
        var asked: Set<Effect> = []
        for case .write(let effects) in history.map(\.request) { asked.formUnion(effects) }
        for entry in log.entries where Self.askedTypes.contains(entry.type) {
            if asked.isDisjoint(with: entry.effects) {
                let effects = entry.effects.map(\.description).joined(separator: ", ")
                find(.unasked, "position \(entry.position): \(effects)")
            }
        }
    }

    // MARK: Answers

    private mutating func checkAnswers() {
        var said: [Int64: Effect] = [:]
        for operation in history {
            switch operation.outcome {
            case .unknown: continue
            case .refused(let detail): find(.refused, "\(operation.label): \(detail)")
            case .answered(let answer):
                check(operation, answer, &said)
            }
        }
    }

    private mutating func check(
        _ operation: Operation, _ answer: Answer, _ said: inout [Int64: Effect]
    ) {
        if let needed = operation.minPosition, let position = answer.position, position < needed {
            find(.impatient, "\(operation.label): position \(position), not \(needed)")
        }
        switch operation.request {
        case .page(let after, let limit): checkPage(operation, answer, after, limit)
        case .read(let effect): checkFact(operation, answer, effect)
        case .write(let effects):
            for effect in effects { checkFact(operation, answer, effect) }
        }
        for (effect, fact) in answer.facts {
            if let other = said.updateValue(effect, forKey: fact.position), other != effect {
                find(.positionReused, "position \(fact.position): \(other), and \(effect)")
            }
            if let position = answer.position, fact.position > position {
                find(.ahead, "\(operation.label): \(effect), \(fact), at position \(position)")
            }
        }
    }

    private mutating func checkFact(
        _ operation: Operation, _ answer: Answer, _ effect: Effect
    ) {
        let label = "\(operation.label): \(effect)"
        switch (answer.facts[effect], log.facts[effect]) {
        case (let said?, let found?) where said != found:
            find(.changed, "\(label), \(said), and the log has \(found)")
        case (let said?, nil):
            find(.lost, "\(label), \(said)")
        case (nil, let found):
            if case .write = operation.request {
                find(.lost, "\(label), answered without a place")
            } else if let found, let position = answer.position, found.position <= position {
                find(.behind, "\(label), nothing at position \(position), but \(found)")
            }
        default: break
        }
    }

    private mutating func checkPage(
        _ operation: Operation, _ answer: Answer, _ after: Int64, _ limit: Int
    ) {
        for (offset, line) in answer.lines.enumerated() {
            let position = after + Int64(offset) + 1
            guard log.leaf(at: position) != line else { continue }
            let kind: Finding.Kind = log.leaf(at: position) == nil ? .lost : .wrongPage
            return find(kind, "\(operation.label): another line at position \(position)")
        }
        guard let position = answer.position else { return }
        let end = after + Int64(answer.lines.count)
        if end > position, !answer.lines.isEmpty {
            find(.ahead, "\(operation.label): lines up to \(end) at position \(position)")
        } else if end < position, answer.lines.count < limit {
            find(.behind, "\(operation.label): lines up to \(end) at position \(position)")
        }
    }

    private mutating func checkWholeness() {
        for operation in history {
            guard case .write(let effects) = operation.request, effects.count > 1 else { continue }
            let present = effects.count { log.facts[$0] != nil }
            if present > 0, present < effects.count {
                find(.torn, "\(operation.label): \(present) of \(effects.count) are there")
            }
        }
    }

    // MARK: Repetitions

    private mutating func checkRepetitions() {
        var first: [String: (Operation, Answer)] = [:]
        for operation in history {
            guard let key = operation.key, let answer = operation.answer else { continue }
            if let (earlier, said) = first[key] {
                if said.body != answer.body {
                    find(
                        .answerChanged,
                        "\(key): \(earlier.label) and \(operation.label) were answered differently")
                }
            } else {
                first[key] = (operation, answer)
            }
        }
    }

    // MARK: Order

    /// Real time: an event that was first asked for after an acknowledgement stands behind it.
    private mutating func checkOrder() {
        var asked: [Effect: Int64] = [:]
        var acknowledged: [(time: Int64, position: Int64)] = []
        for operation in history {
            guard case .write(let effects) = operation.request else { continue }
            for effect in effects { asked[effect] = min(asked[effect] ?? .max, operation.invoked) }
            if let position = operation.answer?.facts.values.map(\.position).max() {
                acknowledged.append((operation.completed, position))
            }
        }
        acknowledged.sort { $0.time < $1.time }
        var highest: Int64 = 0
        var next = 0
        for (effect, time) in asked.sorted(by: { $0.value < $1.value }) {
            while next < acknowledged.count, acknowledged[next].time < time {
                highest = max(highest, acknowledged[next].position)
                next += 1
            }
            guard let position = log.facts[effect]?.position, position < highest else { continue }
            find(
                .disordered,
                "\(effect) is at position \(position), asked for after position \(highest) was known"
            )
        }
    }
}

extension Operation {
    /// For people: who, where, when, what.
    package var label: String {
        let what =
            switch request {
            case .write(let effects):
                "write \(effects.first?.description ?? "nothing")"
                    + (effects.count > 1 ? " and \(effects.count - 1) more" : "")
            case .read(let effect): "read \(effect)"
            case .page(let after, let limit): "page after \(after), limit \(limit)"
            }
        return "client \(client), node \(node), \(invoked)–\(completed) µs, \(what)"
    }
}
