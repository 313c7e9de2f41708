import Testing

@testable import Curl

@Suite struct TransferTests {
    private let transfer = Transfer()

    @Test func `a request is sent as given, and its response read`() throws {
        let server = ScriptedServer([
            "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-A:  b: c \r\nX-A: d\r\n\r\nhello"
        ])
        let response = try transfer.perform(
            Request(
                method: "PUT", url: "\(server.url)/a/../%2Fb?c=d",
                headers: [("Content-Type", "text/plain"), ("X-Empty", "")], body: Array("body".utf8)
            ))
        #expect(response.status == 201)
        #expect(response.body == Array("hello".utf8))
        #expect(response.headers.filter { $0.0 == "X-A" }.map(\.1) == ["b: c", "d"])
        #expect(response.head.header("x-a") == "b: c")
        let request = try #require(server.requests.withLock { $0.first })
        #expect(request.hasPrefix("PUT /a/../%2Fb?c=d HTTP/1.1\r\n"))
        #expect(request.contains("\r\nContent-Type: text/plain\r\n"))
        #expect(request.contains("\r\nX-Empty:"))
        #expect(request.contains("\r\nContent-Length: 4\r\n"))
        #expect(!request.contains("Expect:"))
        #expect(request.hasSuffix("\r\n\r\nbody"))
    }

    @Test(arguments: ["GET", "POST", "DELETE"])
    func `a request without a body names no type for it`(method: String) throws {
        let server = ScriptedServer(["HTTP/1.1 204 No Content\r\n\r\n"])
        #expect(try transfer.perform(Request(method: method, url: server.url)).status == 204)
        let request = try #require(server.requests.withLock { $0.first })
        #expect(request.hasPrefix("\(method) / HTTP/1.1\r\n"))
        #expect(!request.contains("Content-Type"))
    }

    @Test func `requests one after the other share a connection`() throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        let server = ScriptedServer([answer, answer])
        _ = try transfer.perform(Request(method: "POST", url: server.url, body: [1]))
        _ = try transfer.perform(Request(url: server.url))
        #expect(server.connections.withLock { $0 } == 1)
        #expect(server.requests.withLock { $0.last?.hasPrefix("GET ") } == true)
    }

    @Test func `the head of an interim response is passed over`() throws {
        let server = ScriptedServer([
            "HTTP/1.1 103 Early Hints\r\nX-A: early\r\n\r\n"
                + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        ])
        let response = try transfer.perform(Request(url: server.url))
        #expect(response.status == 200)
        #expect(response.head.header("X-A") == nil)
    }

    @Test func `a redirect is an answer like any other`() throws {
        let server = ScriptedServer([
            "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
        ])
        #expect(try transfer.perform(Request(url: server.url)).status == 302)
        #expect(server.requests.withLock { $0.count } == 1)
    }

    @Test func `a stream hands on the head and then each piece, until it is told to stop`() throws {
        let server = ScriptedServer([
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n"
        ])
        var status = 0
        var seen = ""
        try transfer.stream(Request(url: server.url)) {
            status = $0.status
        } onBody: { piece in
            #expect(status == 200)
            seen += String(decoding: piece, as: UTF8.self)
            return !seen.hasSuffix("def")
        }
        #expect(seen == "abcdef")
    }

    @Test func `a refused connection is reported with host, port and cause`() throws {
        let server = ScriptedServer([])
        server.stop()
        let error = #expect(throws: CurlError.self) {
            try transfer.perform(Request(url: server.url))
        }
        #expect(error?.kind == .couldNotConnect)
        #expect(
            error?.description
                == "could not connect to 127.0.0.1:\(server.port): Connection refused")
    }

    @Test func `a connection that breaks before the answer is an error`() throws {
        let server = ScriptedServer([])
        let error = #expect(throws: CurlError.self) {
            try transfer.perform(Request(url: server.url))
        }
        #expect(error?.kind == .broken)
    }

    @Test func `a body over the limit is refused, and one at the limit read`() throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        let server = ScriptedServer([answer, answer])
        #expect(try transfer.perform(Request(url: server.url), bodyBytesMax: 5).body.count == 5)
        let error = #expect(throws: CurlError.self) {
            try transfer.perform(Request(url: server.url), bodyBytesMax: 4)
        }
        #expect(error?.kind == .tooLarge)
    }

    @Test func `headers over 64 kB are refused`() throws {
        let line = "X-A: \(String(repeating: "a", count: 10_000))\r\n"
        let server = ScriptedServer([
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\(String(repeating: line, count: 7))\r\n"
        ])
        let error = #expect(throws: CurlError.self) {
            try transfer.perform(Request(url: server.url))
        }
        #expect(error?.kind == .tooLarge)
    }

    @Test func `the limit of time is kept`() throws {
        let server = ScriptedServer(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"])
        let error = #expect(throws: CurlError.self) {
            try transfer.perform(Request(url: server.url, timeoutMilliseconds: 50))
        }
        #expect(error?.kind == .timedOut)
    }

    @Test(arguments: [
        Request(url: "http://127.0.0.1:1/a\r\nX: y"),
        Request(url: "http://127.0.0.1:1/", headers: [("A", "b\nc")]),
        Request(url: "http://127.0.0.1:1/", headers: [("A:b", "c")]),
        Request(url: "file:///etc/passwd"),
    ])
    func `what can't be sent safely is not sent`(request: Request) throws {
        let error = #expect(throws: CurlError.self) { try transfer.perform(request) }
        #expect(error?.kind == .invalidRequest)
    }
}
