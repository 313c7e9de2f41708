import Testing

@testable import CommandLine

@Suite struct DocumentsTests {
    private func joined(_ sources: String...) -> String {
        String(decoding: Documents(sources.map { Array($0.utf8) }).bytes, as: UTF8.self)
    }

    @Test func `several files become one stream of documents`() {
        #expect(joined("a: 1", "b: 2\n", "{\"c\": 3}") == "a: 1\n---\nb: 2\n---\n{\"c\": 3}")
    }

    @Test func `a file that begins with a marker gets no second one`() {
        #expect(joined("---\na: 1\n", "---\nb: 2\n") == "---\na: 1\n---\nb: 2\n")
    }

    @Test func `a file without a document adds none`() {
        #expect(joined("# note\n---\n", "a: 1\n", "\n \r\n") == "a: 1\n")
    }

    @Test func `a byte order mark is left out`() {
        #expect(joined("a: 1\n", "\u{feff}b: 2\n") == "a: 1\n---\nb: 2\n")
    }

    @Test(arguments: [
        ("{\"a\":1}", "application/json"), (" \n[{}]", "application/json"),
        ("a: 1", "application/yaml"),
    ])
    func `one document of JSON is sent as JSON`(source: String, type: String) {
        #expect(Documents([Array(source.utf8)]).contentType == type)
    }

    @Test func `a file that is not there is named`() {
        let error = #expect(throws: CommandFailure.self) { try Documents(paths: ["/nope.yaml"]) }
        #expect(error?.message == "there is no file '/nope.yaml'")
    }
}
