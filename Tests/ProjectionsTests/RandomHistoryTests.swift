import Domain
import EventLog
import JSON
import SeededRandomness
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct RandomHistoryTests {
    /// A command that the domain may take or refuse.
    private func command(_ generator: inout SeededGenerator) throws -> Command {
        if Bool.random(using: &generator) { return RandomUnits.command(&generator) }
        let id: ResourceID = ["ONE", "TWO", "THREE"].randomElement(using: &generator) ?? "ONE"
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: return .apply([try document(id, &generator)], ApplyOptions())
        case 1: return .step(id, .activate)
        case 2:
            return .step(id, .declareWinner(["A", "B"].randomElement(using: &generator) ?? "A"))
        case 3: return .step(id, .reopen(to: .active, reason: "random"))
        case 4 where Int.random(in: 0..<4, using: &generator) == 0: return .step(id, .end(.other))
        case 5:
            let share = Double.random(in: 0...1, using: &generator)
            let text = """
                {"index":\(Int.random(in: 1...4, using: &generator)),"variants":[
                 {"variant":"A","split":\(share)},{"variant":"B","split":\(1 - share)}]}
                """
            let cohort = try JSONValue.parse(Array(text.utf8))
            return .step(id, .addCohort(try ResourceDocument.cohort(cohort)))
        default:
            let first = Int.random(in: 0..<80, using: &generator)
            return .assign(id, subjects: (first..<first + 5).map { "user/\($0)%é" })
        }
    }

    private func document(
        _ id: ResourceID, _ generator: inout SeededGenerator
    ) throws -> ResourceDocument {
        let text = """
            {"schemaVersion":1,"kind":"experiment",
             "metadata":{"id":"\(id)","name":"Take \(Int.random(in: 0..<3, using: &generator))",
              "parentId":"LAB-\(Int.random(in: 0..<3, using: &generator))"},
             "spec":{"variants":[{"id":"A","isControl":true},{"id":"B"}],
              "cohorts":[{"index":1,"variants":[{"variant":"A","split":0.3},
               {"variant":"B","split":0.7}]}]}}
            """
        return try ResourceDocument(JSONValue.parse(Array(text.utf8)))
    }

    @Test(arguments: 0..<3)
    func afterRandomCommandsStateRebuildAndExportedLinesAllAgree(run: Int) async throws {
        var generator = SeededGenerator()
        let seed = Comment(rawValue: "seed \(generator.seed)")
        let fixture = try Fixture()
        defer { fixture.stop() }
        var recorded = 0
        for _ in 0..<400 {
            let receipt = try? await fixture.log.submit(command(&generator))
            recorded += receipt == nil ? 0 : 1
        }
        #expect(recorded > 20, seed)
        await fixture.settle()
        let before = try fixture.contents()
        let (state, position) = fixture.log.view.snapshot

        // The fold of evolve over the exported lines is the state.
        var folded = State()
        let lines = try await fixture.log.reader.events(after: 0, through: .max, limit: 100_000)
            .events.map(\.line)
        for line in lines {
            let event = try StoredEvent(line: line)
            folded.evolve(try event.decoded(), at: event.context)
        }
        #expect(folded == state, seed)
        #expect(try await fixture.log.reader.state(at: position) == state, seed)

        // And the projections say the same before a rebuild, after it, and when verified.
        #expect(try await fixture.verify().count == 0, seed)
        _ = try await fixture.rebuild()
        #expect(try fixture.contents() == before, seed)
    }
}
