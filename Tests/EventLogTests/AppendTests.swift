import Domain
import EventLog
import JSON
import TestSupport
import Testing

@Suite("Appending")
struct AppendTests {
    private func allEvents(_ log: EventLog) async throws -> [StoredEvent] {
        try await log.reader.events(after: 0, through: .max, limit: 100_000).events
    }

    private func proposal(_ id: String, _ lab: String) throws -> ProposedEvent {
        var proposal = ProposedEvent(
            type: "LabCreated", data: try .parse(Array(#"{"metadata":{"id":"\#(lab)"}}"#.utf8)))
        proposal.id = EventID(id)
        return proposal
    }

    @Test("gives contiguous positions, versions per stream, and the tree of the lines")
    func contiguous() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        for start in stride(from: 0, to: 50, by: 10) {
            try await log.assign("HERO", subjects: start..<start + 10)
        }
        try await log.submit(.step("HERO", .declareWinner("TREATMENT")))
        let events = try await allEvents(log)
        #expect(events.map(\.position) == Array(1...Int64(events.count)))
        var versions: [String: Int64] = [:]
        var tree = MerkleFrontier()
        for event in events {
            versions[event.stream, default: 0] += 1
            #expect(event.version == versions[event.stream])
            tree.append(MerkleFrontier.leaf(event.line))
        }
        let head = try await log.reader.pool.run { try Head.read($0) }
        #expect(head.frontier == tree)
        #expect(head.position == Int64(events.count))
        #expect(zip(events, events.dropFirst()).allSatisfy { $0.recordedAt <= $1.recordedAt })
    }

    @Test("records nothing of a refused command, and all of the others in its batch")
    func refusedAlone() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        let before = log.view.position
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let experiment: ResourceID = number % 4 == 0 ? "MISSING" : "HERO"
                    let receipt = try? await log.assign(experiment, subjects: number..<number + 1)
                    return receipt != nil
                }
            }
            for await _ in group {}
        }
        #expect(log.view.position == before + 30)
    }

    @Test("decides a first assignment once, whoever asks and however often")
    func oneAssignmentPerSubject() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        let before = log.view.position
        let variants = try await withThrowingTaskGroup(of: (String, String?).self) { group in
            for request in 0..<10_000 {
                group.addTask {
                    let subject = "user_\(request % 1_000)"
                    let receipt = try await log.assign(
                        "HERO", [subject], context: CommandContext(actor: "key/test"))
                    return (subject, receipt.assignments[0].variant)
                }
            }
            var variants: [String: Set<String?>] = [:]
            for try await (subject, variant) in group {
                variants[subject, default: []].insert(variant)
            }
            return variants
        }
        #expect(variants.count == 1_000)
        #expect(variants.values.allSatisfy { $0.count == 1 })
        #expect(log.view.position == before + 1_000)
        // Every draw recomputes from its event.
        for event in try await allEvents(log) {
            guard case .assignmentMade(let made) = try event.decoded() else { continue }
            #expect(
                made.u == drawNumber(experiment: "HERO", cohort: 1, subject: made.subject))
            #expect(variants[made.subject] == [made.variant.text])
        }
    }

    @Test("draws within chi-square bounds of the splits")
    func distribution() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO", variants: ["A", "B", "C", "D"])
        let receipt = try await log.assign("HERO", subjects: 0..<8_000)
        let counts = Dictionary(grouping: receipt.assignments, by: \.variant).mapValues(\.count)
        let chiSquare = counts.values.reduce(0.0) { sum, count in
            sum + (Double(count) - 2_000) * (Double(count) - 2_000) / 2_000
        }
        // The draws are fixed by the subjects' names; 16.27 is p = 0.001 at 3 degrees of freedom.
        #expect(counts.count == 4 && chiSquare < 16.27)
    }

    @Test("finds a subject's variant after a restart, in the log itself")
    func sticksAcrossRestarts() async throws {
        let database = try TestDatabase()
        let first = try database.lead()
        try await first.createExperiment("HERO")
        let before = try await first.assign("HERO", subjects: 0..<100)
        first.stop()
        let second = try database.lead()
        defer { second.stop() }
        let after = try await second.assign("HERO", subjects: 0..<100)
        #expect(after.assignments.map(\.variant) == before.assignments.map(\.variant))
        #expect(after.assignments.map(\.position) == before.assignments.map(\.position))
        #expect(after.assignments.allSatisfy { $0.reason == .existing })
    }

    // MARK: Idempotency

    private func context(_ key: String, request: String) -> CommandContext {
        var context = CommandContext(actor: "key/test")
        context.idempotency = .init(
            key: key, request: MerkleFrontier.leaf(Array(request.utf8)),
            answer: { Array("position \($0.events.last?.position ?? 0)".utf8) })
        return context
    }

    @Test("gives the first answer again for the same key and request, also after a restart")
    func idempotencyKey() async throws {
        let database = try TestDatabase()
        let first = try database.lead()
        let command = Command.apply(
            [.group(.lab, GroupDocument(id: "A"))],
            ApplyOptions())
        let recorded = try await first.sequencer.submit(command, context("k", request: "a"))
        #expect(recorded.replayedAnswer == nil)
        let again = try await first.sequencer.submit(command, context("k", request: "a"))
        #expect(again.replayedAnswer.map { String(decoding: $0, as: UTF8.self) } == "position 1")
        first.stop()
        let second = try database.lead()
        defer { second.stop() }
        let later = try await second.sequencer.submit(command, context("k", request: "a"))
        #expect(later.replayedAnswer == again.replayedAnswer)
        #expect(second.view.position == 1)
    }

    @Test("refuses an idempotency key that comes with another request")
    func reusedKey() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        let command = Command.apply(
            [.group(.lab, GroupDocument(id: "A"))],
            ApplyOptions())
        _ = try await log.sequencer.submit(command, context("k", request: "a"))
        await #expect(throws: SequencerError.self) {
            try await log.sequencer.submit(command, context("k", request: "b"))
        }
    }

    @Test("records an event with its own id once, and refuses the id with other data")
    func eventIDs() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        let id = "018f3b1c-7d2a-7abc-8def-0123456789ab"
        let first = try await log.appendEvents([proposal(id, "A")])
        #expect(first.appended.map(\.id.description) == [id])
        let again = try await log.appendEvents([proposal(id, "A")])
        #expect(again.isReplay && again.appended.map(\.position) == first.appended.map(\.position))
        await #expect(throws: SequencerError.self) {
            try await log.appendEvents([proposal(id, "B")])
        }
        #expect(log.view.position == 1)
    }

    @Test("refuses two events with one id in one request, and records neither")
    func eventIDTwice() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        let id = "018f3b1c-7d2a-7abc-8def-0123456789ab"
        await #expect(throws: SequencerError.self) {
            try await log.appendEvents([proposal(id, "A"), proposal(id, "A")])
        }
        #expect(log.view.position == 0)
    }

    @Test("finds a subject it took for new, and gives it the variant it has")
    func takenForNew() async throws {
        let database = try TestDatabase()
        let first = try database.lead()
        try await first.createExperiment("HERO")
        let before = try await first.assign("HERO", subjects: 0..<5)
        first.stop()
        let second = try database.lead()
        defer { second.stop() }
        // So many look-ups in vain that the next subjects are taken for new.
        for number in 100..<120 { try await second.assign("HERO", subjects: number..<number + 1) }
        let head = second.view.position
        let after = try await second.assign("HERO", subjects: 0..<5)
        #expect(after.assignments.map(\.variant) == before.assignments.map(\.variant))
        #expect(after.assignments.allSatisfy { $0.reason == .existing })
        #expect(second.view.position == head)
    }

    @Test("knows the version of an assignment's stream also when it takes subjects for new")
    func appendIsAlwaysLookedUp() async throws {
        let database = try TestDatabase()
        let first = try database.lead()
        try await first.createExperiment("HERO")
        try await first.assign("HERO", subjects: 0..<1)
        first.stop()
        let second = try database.lead()
        defer { second.stop() }
        for number in 100..<120 { try await second.assign("HERO", subjects: number..<number + 1) }
        var proposal = ProposedEvent(
            type: "AssignmentMade",
            data: try .parse(Array(#"{"experiment":"HERO","subject":"user_0"}"#.utf8)))
        proposal.expectedVersion = ExpectedVersion.none
        do {
            try await second.appendEvents([proposal])
            Issue.record("the append was not refused")
        } catch SequencerError.refused(let refusal) {
            #expect(refusal.actualVersion == 1)
        }
        // A subject that can't exist is refused as one, and not looked for.
        let impossible = ProposedEvent(
            type: "AssignmentMade",
            data: try .parse(Array(#"{"experiment":"HERO","subject":"a\u0000b"}"#.utf8)))
        do {
            try await second.appendEvents([impossible])
            Issue.record("the append was not refused")
        } catch SequencerError.refused(let refusal) {
            #expect(refusal.kind == .invalid)
        }
    }

    @Test("names the stream's version where another was expected")
    func expectedVersion() async throws {
        let database = try TestDatabase()
        let log = try database.lead()
        defer { log.stop() }
        try await log.createExperiment("HERO")
        var proposal = ProposedEvent(
            type: "ExperimentArchived", data: try .parse(Array(#"{"experiment":"HERO"}"#.utf8)))
        proposal.expectedVersion = .exactly(3)
        do {
            try await log.appendEvents([proposal])
            Issue.record("the append was not refused")
        } catch SequencerError.refused(let refusal) {
            #expect(refusal.kind == .versionMismatch)
            #expect(refusal.actualVersion == 5)
        }
    }
}
