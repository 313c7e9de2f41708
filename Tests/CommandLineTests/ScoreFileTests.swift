import Testing

@testable import CommandLine

@Suite struct ScoreFileTests {
    private func split(_ text: String, size: Int = .max) throws -> [ScoreSplitter.Object] {
        var splitter = ScoreSplitter()
        var objects: [ScoreSplitter.Object] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            try splitter.receive(rest.prefix(size)) { objects.append($0) }
            rest = rest.dropFirst(size)
        }
        try splitter.finish()
        return objects
    }

    private let objects = [
        ScoreSplitter.Object(line: 2, bytes: Array(#"{"a":"}\"{"}"#.utf8)),
        ScoreSplitter.Object(line: 4, bytes: Array("{\"b\":\n[{}]}".utf8)),
    ]

    @Test(arguments: 1...9)
    func `an array and lines give the same scores however they are cut`(size: Int) throws {
        let array = "[\n" + #"{"a":"}\"{"}"# + ",\n\n {\"b\":\n[{}]}\n]\n"
        let lines = "\n" + #"{"a":"}\"{"}"# + "\n\r\n {\"b\":\n[{}]}"
        #expect(try split(array, size: size) == objects)
        #expect(try split(lines, size: size) == objects)
    }

    @Test func `a text without scores has none`() throws {
        #expect(try split("").isEmpty)
        #expect(try split(" [ ]\n").isEmpty)
    }

    @Test(arguments: [
        ("{}\n7", "line 2: expected a score"), ("{},{}", "line 1: expected a score"),
        ("[{} {}]", "line 1: expected a score"), ("[{},\n]", "line 2: expected a score"),
        ("[{}]\n{}", "line 2: expected a score"), ("{}\n[{}]", "line 2: expected a score"),
        ("{}\n\n{\"a\":\n", "line 3: the object does not end"),
        ("[{}\n", "line 2: the array does not end"),
    ])
    func `what is no list of scores is told with its line`(text: String, message: String) {
        let failure = #expect(throws: CommandFailure.self) { try split(text) }
        #expect(failure?.message.hasPrefix(message) == true, "\(failure?.message ?? "")")
    }

    @Test func `a score that is not JSON is told with its line`() throws {
        var batch = ScoreBatch()
        let failure = #expect(throws: CommandFailure.self) {
            try batch.add(ScoreSplitter.Object(line: 7, bytes: Array("{a}".utf8)))
        }
        #expect(failure?.message.hasPrefix("line 7: not valid JSON") == true)
    }

    @Test func `what the server refuses is told with lines`() throws {
        var batch = ScoreBatch()
        for object in objects { try batch.add(object) }
        #expect(
            String(decoding: batch.body, as: UTF8.self) == "[{\"a\":\"}\\\"{\"},{\"b\":\n[{}]}]")
        var failure = CommandFailure(message: "no")
        failure.parts = [
            .init(pointer: "/1/name", detail: "is blank"), .init(pointer: "/0", detail: "is odd"),
            .init(pointer: "", detail: "all"), .init(pointer: "/1/run", detail: "run r is odd"),
            .init(pointer: "/1", detail: "too much"),
        ]
        #expect(
            batch.located(failure, partsMax: 4).description == """
                error: no
                  line 4: name: is blank
                  line 2: is odd
                  at /: all
                  line 4: run r is odd
                  and 1 more
                """)
    }

    @Test func `a batch has room for ten thousand scores`() throws {
        var batch = ScoreBatch()
        let object = ScoreSplitter.Object(line: 1, bytes: Array("{}".utf8))
        for _ in 0..<10_000 {
            #expect(batch.hasRoom(for: object))
            try batch.add(object)
        }
        #expect(!batch.hasRoom(for: object))
    }
}
