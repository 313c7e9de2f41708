import Curl
import Testing

@testable import CommandLine

@Suite struct ClientTests {
    @Test func `path and parameters are percent-encoded, and empty ones left out`() {
        let url = Client.url(
            "http://h", ["v1", "subjects", "a/b c?é%"], [("asOf", nil), ("reason", "a&b=c+d")])
        #expect(url == "http://h/v1/subjects/a%2Fb%20c%3F%C3%A9%25?reason=a%26b%3Dc%2Bd")
    }

    @Test func `problem details are told with each place`() {
        let body = """
            {"title":"Invalid","detail":"2 things","errors":[{"pointer":"/spec","detail":"no"},\
            {"pointer":"","detail":"all"}]}
            """
        let failure = CommandFailure(
            Response(
                head: ResponseHead(
                    status: 422, headers: [("content-type", "application/problem+json")]),
                body: Array(body.utf8)), sentKey: true)
        #expect(
            failure.description == """
                error: Invalid: 2 things
                  at /spec: no
                  at /: all
                """)
    }

    @Test func `an answer that is no problem is told with its status`() {
        let response = Response(head: ResponseHead(status: 502), body: Array("bad gateway".utf8))
        let failure = CommandFailure(response, sentKey: true)
        #expect(failure.description == "error: HTTP 502: bad gateway")
        #expect(failure.isTemporary)
    }

    @Test func `who sent no key is told how to`() {
        let failure = CommandFailure(Response(head: ResponseHead(status: 401)), sentKey: false)
        #expect(failure.details == ["No key was sent: give one with --key or LEDGER_KEY."])
    }

    @Test func `who finds no server is told what to do`() {
        let error = #expect(throws: CommandFailure.self) {
            try Client(baseURL: "http://127.0.0.1:1", key: nil).send("GET", ["v1", "labs"])
        }
        #expect(error?.message == "could not connect to 127.0.0.1:1: Connection refused")
        #expect(error?.details.first?.contains("ledger serve") == true)
    }

    @Test(arguments: 1...12)
    func `lines come out whole however they are cut`(size: Int) {
        let text = Array("one\ntwo\r\n\nthrée\nrest".utf8)
        var splitter = LineSplitter()
        var lines: [String] = []
        for start in stride(from: 0, to: text.count, by: size) {
            let piece = text[start..<min(text.count, start + size)]
            let wantsMore = splitter.receive(piece) { line in
                lines.append(String(decoding: line, as: UTF8.self))
                return true
            }
            #expect(wantsMore)
        }
        #expect(lines == ["one", "two", "", "thrée"])
    }

    @Test func `a live feed gives its events' data and passes comments over`() {
        let reader = EventStreamReader()
        let lines = [
            ": hello", "id: 1", "event: x", "data: {\"a\":1}", "", "", "data:b", "data: c", "",
        ]
        let data = lines.compactMap { reader.receive(line: Array($0.utf8)[...]) }
        #expect(data.map { String(decoding: $0, as: UTF8.self) } == ["{\"a\":1}", "b\nc"])
    }
}
