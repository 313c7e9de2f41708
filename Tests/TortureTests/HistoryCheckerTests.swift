import EventLog
import Testing
import Torture

@Suite struct HistoryCheckerTests {
    /// A log that is being written by hand.
    private struct Story {
        var lines: [[UInt8]] = []
        var history: [Operation] = []
        private var versions: [String: Int64] = [:]

        mutating func append(
            _ type: String, _ stream: String, _ data: String, at second: Int? = nil,
            position: Int? = nil
        ) {
            let position = position ?? lines.count + 1
            versions[stream, default: 0] += 1
            let time = second ?? position
            lines.append(
                Array(
                    """
                    {"position":\(position),"id":"id-\(position)","stream":"\(stream)",\
                    "version":\(versions[stream, default: 0]),"type":"\(type)",\
                    "recordedAt":"2026-01-02T03:04:\(time < 10 ? "0" : "")\(time).000000Z",\
                    "actor":"key/t","data":\(data)}
                    """.utf8))
        }

        mutating func assign(
            _ subject: String, _ variant: String = "A", at second: Int? = nil, position: Int? = nil
        ) {
            append(
                "AssignmentMade", "assignment/E/\(subject)",
                #"{"subject":"\#(subject)","variant":"\#(variant)"}"#, at: second,
                position: position)
        }

        /// An operation that follows all others, unless it says when.
        mutating func add(
            _ request: Operation.Request, _ outcome: Operation.Outcome, key: String? = nil,
            minPosition: Int64? = nil, invoked: Int64? = nil, completed: Int64? = nil
        ) {
            let now = Int64(history.count) * 10
            history.append(
                Operation(
                    client: 1, node: 1, invoked: invoked ?? now, completed: completed ?? now + 5,
                    request: request, key: key, minPosition: minPosition, outcome: outcome))
        }

        mutating func write(
            _ subject: String, at position: Int64, _ variant: String = "A", head: Int64? = nil,
            key: String? = nil
        ) {
            let effect = Effect.assigned(subject)
            add(
                .write([effect]),
                .answered(
                    Answer(
                        position: head, facts: [effect: Fact(position: position, variant: variant)],
                        body: Array("\(subject) \(variant)".utf8))), key: key)
        }

        var root: String {
            var tree = MerkleFrontier()
            for line in lines { tree.append(MerkleFrontier.leaf(line)) }
            return tree.root.description
        }

        func found(root: String? = nil) -> [Finding.Kind] {
            HistoryChecker.check(history, lines: lines, root: root ?? self.root).map(\.kind)
        }
    }

    private func shows(
        _ subject: String, _ position: Int64, at head: Int64? = nil, body: [UInt8] = []
    ) -> Answer {
        Answer(
            position: head, facts: [.assigned(subject): Fact(position: position, variant: "A")],
            body: body)
    }

    /// Three subjects, all acknowledged.
    private var sound: Story {
        var story = Story()
        story.append("ExperimentCreated", "experiment/E", "{}")
        for (index, subject) in ["x", "y", "z"].enumerated() {
            story.assign(subject)
            story.write(subject, at: Int64(index) + 2, head: Int64(index) + 2)
        }
        return story
    }

    @Test func `a sound history has no findings`() {
        var story = sound
        story.add(.read(.assigned("x")), .answered(Answer(position: 1)))
        story.add(
            .read(.assigned("x")),
            .answered(shows("x", 2, at: 4)), minPosition: 4)
        story.add(
            .page(after: 1, limit: 2),
            .answered(
                Answer(position: 4, lines: story.lines[1...2].map { MerkleFrontier.leaf($0) }))
        )
        story.add(.page(after: 4, limit: 2), .answered(Answer(position: 4)))
        story.add(.page(after: 9, limit: 2), .answered(Answer(position: 4)))
        story.add(.write([.assigned("nobody")]), .unknown("cut"))
        story.write("x", at: 2, key: "k")
        story.write("x", at: 2, key: "k")
        #expect(story.found() == [])
    }

    @Test func `what was acknowledged and is gone is found`() {
        var story = sound
        story.lines.removeLast()
        #expect(story.found() == [.lost])
        story = sound
        story.add(.write([.assigned("w")]), .answered(Answer(position: 4)))
        #expect(story.found() == [.lost])
    }

    @Test func `what was acknowledged and is otherwise in the log is found`() {
        var story = sound
        story.write("x", at: 2, "B")
        #expect(story.found() == [.changed])
    }

    @Test func `a request that is done in part is found`() {
        var story = sound
        story.add(.write([.assigned("x"), .assigned("w")]), .unknown("cut"))
        #expect(story.found() == [.torn])
    }

    @Test func `a subject that is assigned twice is found`() {
        var story = sound
        story.assign("x", "B")
        #expect(story.found() == [.repeated])
    }

    @Test func `a command that is done twice is found`() {
        var story = sound
        for _ in 0..<2 { story.append("ScoreRecorded", "assignment/E/x", #"{"value":7}"#) }
        story.add(.write([.scored(7)]), .unknown("cut"))
        #expect(story.found() == [.repeated])
    }

    @Test func `what nobody asked for is found`() {
        var story = sound
        story.assign("stranger")
        #expect(story.found() == [.unasked])
    }

    @Test func `a gap in the positions is found`() {
        var story = sound
        story.assign("w", position: 6)
        story.add(.write([.assigned("w")]), .unknown("cut"))
        #expect(story.found() == [.gap])
    }

    @Test func `a time that runs back is found`() {
        var story = sound
        story.assign("w", at: 1)
        story.add(.write([.assigned("w")]), .unknown("cut"))
        #expect(story.found() == [.timeRunsBack])
    }

    @Test func `another root than the lines' is found`() {
        #expect(sound.found(root: MerkleFrontier().root.description) == [.wrongRoot])
    }

    @Test func `a line that is no event is found`() {
        var story = sound
        story.lines.append(Array("{}".utf8))
        let root = sound.root
        #expect(story.found(root: root) == [.malformed])
    }

    @Test func `one position for two events is found, though one of them is lost`() {
        var story = sound
        story.write("w", at: 4)
        #expect(Set(story.found()) == [.positionReused, .lost])
    }

    @Test func `a repetition that is answered differently is found`() {
        var story = sound
        story.write("x", at: 2, key: "k")
        story.add(
            .write([.assigned("x")]),
            .answered(shows("x", 2, body: [1])), key: "k")
        #expect(story.found() == [.answerChanged])
    }

    @Test func `a read of what is beyond its position is found`() {
        var story = sound
        story.add(
            .read(.assigned("z")),
            .answered(shows("z", 4, at: 3)))
        #expect(story.found() == [.ahead])
    }

    @Test func `a read that lacks what is within its position is found`() {
        var story = sound
        story.add(.read(.assigned("z")), .answered(Answer(position: 4)))
        #expect(story.found() == [.behind])
    }

    @Test func `a page with a line that the log has otherwise is found`() {
        var story = sound
        story.add(
            .page(after: 1, limit: 9),
            .answered(Answer(position: 2, lines: [MerkleFrontier.leaf([1])])))
        #expect(story.found() == [.wrongPage])
    }

    @Test func `a page that ends before its position, or after it, is found`() {
        var story = sound
        let lines = story.lines.map { MerkleFrontier.leaf($0) }
        story.add(
            .page(after: 0, limit: 9), .answered(Answer(position: 4, lines: Array(lines[..<3]))))
        story.add(.page(after: 0, limit: 9), .answered(Answer(position: 3, lines: lines)))
        #expect(story.found() == [.behind, .ahead])
    }

    @Test func `an answer before the position that was asked for is found`() {
        var story = sound
        story.add(
            .read(.assigned("x")),
            .answered(shows("x", 2, at: 3)), minPosition: 4)
        #expect(story.found() == [.impatient])
    }

    @Test func `an event before one that was acknowledged when it was asked for is found`() {
        var story = sound
        // It is asked for when z, at position 4, is known, and stands at position 3.
        story.history[1].invoked = 1_000
        story.history[1].completed = 1_001
        #expect(story.found() == [.disordered])
    }

    @Test func `a refusal is found`() {
        var story = sound
        story.add(.read(.assigned("x")), .refused("404"))
        #expect(story.found() == [.refused])
    }
}
