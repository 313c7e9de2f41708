import Curl
import FaultyReceiver
import Foundation
import Testing

@Suite struct MultiTransferTests {
    private let sender = Sender()

    @Test func `a request has its own headers, those of its target, and its body`() throws {
        let receiver = FaultyReceiver { _ in
            .answer(202, headers: [("Retry-After", " 7 ")], body: "thanks")
        }
        let target = Target("\(receiver.url)/hook?a=b") {
            $0.fixedHeaders = [Header("Content-Type", "text/plain"), Header("X-Empty", "")]
        }
        let outcome = try sender.send(target, headers: [Header("X-A", "1"), Header("X-B", "")])
        #expect(outcome.status == 202)
        #expect(outcome.error == nil)
        #expect(outcome.retryAfter == "7")
        #expect(outcome.bodyStart == Array("thanks".utf8))
        #expect(outcome.wasSent && !outcome.isReusedConnection && !outcome.isTruncated)
        #expect(outcome.address == IPAddress("127.0.0.1"))
        #expect(outcome.head == nil)
        #expect(outcome.seconds > 0)
        let request = try #require(receiver.received.first)
        #expect(request.method == "POST")
        #expect(request.path == "/hook?a=b")
        #expect(request.text == "hello")
        #expect(request.header("content-type") == "text/plain")
        #expect(request.header("x-a") == "1")
        #expect(request.header("x-b") == "")
        #expect(request.header("x-empty") == "")
        #expect(request.header("expect") == nil)
    }

    @Test func `a target without a type of content names none`() throws {
        let receiver = FaultyReceiver()
        _ = try sender.send(Target(receiver.url), RequestBody([]))
        let request = try #require(receiver.received.first)
        #expect(request.header("content-type") == nil)
        #expect(request.header("content-length") == "0")
    }

    @Test func `the head is kept on demand, and is that of the final answer`() throws {
        let receiver = FaultyReceiver { request in
            request.numberOnConnection == 1
                ? .interim(count: 2) : .answer(404, headers: [("X-A", "b"), ("x-a", "c")])
        }
        let target = Target(receiver.url) { $0.keepsHead = true }
        #expect(try sender.send(target).head?.header("Link") == nil)
        let head = try #require(try sender.send(target).head)
        #expect(head.status == 404)
        #expect(head.headers.filter { $0.0.lowercased() == "x-a" }.map(\.1) == ["b", "c"])
    }

    @Test func `a healthy connection serves one request after the other`() throws {
        let receiver = FaultyReceiver()
        let target = Target(receiver.url)
        #expect(try !sender.send(target).isReusedConnection)
        for _ in 0..<20 {
            #expect(try sender.send(target).isReusedConnection)
        }
        #expect(receiver.connectionCount == 1)
        #expect(receiver.received.count == 21)
    }

    @Test func `one request may go to another path, and the next goes to the target's own`() throws
    {
        let receiver = FaultyReceiver()
        let target = Target("\(receiver.url)/own")
        for url in ["\(receiver.url)/other?a=b", nil, "http://127.0.0.1:1/\r\n"] {
            sender.multi.start(target, url: url, headers: [], body: RequestBody([]), id: 1_000)
            sender.run { sender.multi.inFlight == 0 }
        }
        #expect(receiver.received.map(\.path) == ["/other?a=b", "/own"])
        #expect(sender.outcomes[1_000]?.error?.kind == .invalidRequest)
    }

    @Test func `two targets send the same large body`() throws {
        let receivers = [FaultyReceiver(), FaultyReceiver()]
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        let body = RequestBody(bytes)
        let ids = receivers.map { sender.start(Target($0.url), body) }
        sender.run { sender.outcomes.count == 2 }
        for (id, receiver) in zip(ids, receivers) {
            #expect(sender.outcomes[id]?.status == 200)
            #expect(receiver.received.first?.body == bytes)
        }
    }

    @Test func `an outcome known at once is handed out by the next run`() throws {
        let target = Target("http://127.0.0.1:1")
        let id = sender.start(target, headers: [Header("A", "b\r\nc: d")])
        #expect(sender.outcomes.isEmpty)
        #expect(sender.multi.inFlight == 1)
        sender.multi.run(timeout: nil) { ended, outcome in
            #expect(ended == id)
            #expect(outcome.error?.kind == .invalidRequest)
            #expect(!outcome.wasSent)
        }
        #expect(sender.multi.inFlight == 0)
    }

    @Test(arguments: [
        "http://127.0.0.1:1/\r\nX: y", "http://127.0.0.1:1/\0", "file:///etc/passwd",
        "gopher://127.0.0.1:1/", "127.0.0.1:99999", "",
    ])
    func `a URL that can't be sent safely is refused`(url: String) throws {
        #expect(try sender.send(Target(url)).error?.kind == .invalidRequest)
    }

    @Test(arguments: [Header("", "a"), Header("a:b", "c"), Header("a", "b\nc"), Header("a\0", "b")])
    func `a header of the target that would break out is refused`(header: Header) throws {
        let receiver = FaultyReceiver()
        let outcome = try sender.send(Target(receiver.url) { $0.fixedHeaders = [header] })
        #expect(outcome.error?.kind == .invalidRequest)
        #expect(receiver.connectionCount == 0)
    }

    @Test func `transfers may be started while others are handed out`() {
        let receiver = FaultyReceiver()
        let target = Target(receiver.url)
        var left = 10
        sender.multi.start(target, headers: [], body: RequestBody([]), id: 0)
        while sender.multi.inFlight > 0 {
            sender.multi.run(timeout: .seconds(10)) { id, outcome in
                #expect(outcome.status == 200)
                left -= 1
                if left > 0 {
                    sender.multi.start(target, headers: [], body: RequestBody([]), id: id + 1)
                }
            }
        }
        #expect(left == 0)
        #expect(receiver.received.count == 10)
    }

    @Test func `a cancelled transfer has no outcome, and its connection is closed`() {
        let receiver = FaultyReceiver { _ in .silence }
        let id = sender.start(Target(receiver.url))
        sender.run { !receiver.received.isEmpty }
        sender.multi.cancel(id)
        #expect(sender.multi.inFlight == 0)
        #expect(receiver.wait { $0.openConnectionCount == 0 })
        sender.multi.run(timeout: .zero) { _, _ in Issue.record("the transfer has an outcome") }
    }

    @Test func `a transfer cancelled while others are handed out has no outcome`() {
        let receiver = FaultyReceiver { _ in .success }
        let target = Target(receiver.url)
        let multi = sender.multi
        for id in 1...UInt64(20) {
            multi.start(target, headers: [], body: RequestBody([]), id: id)
        }
        var ended: [UInt64] = []
        while multi.inFlight > 0 {
            multi.run(timeout: .seconds(10)) { id, _ in
                ended.append(id)
                let other = id % 2 == 0 ? id - 1 : id + 1
                multi.cancel(other)
            }
        }
        #expect(ended.count == 10)
        #expect(Set(ended.map { ($0 + 1) / 2 }).count == 10)
    }

    @Test func `a wake ends a wait, and one that comes first is not lost`() {
        let waker = sender.multi.waker
        waker.wake()
        sender.multi.run(timeout: nil) { _, _ in }
        Thread.detachNewThread { waker.wake() }
        sender.multi.run(timeout: nil) { _, _ in }
    }

    @Test func `a connection that is closed while idle does not keep the engine from waiting`()
        throws
    {
        let receiver = FaultyReceiver { _ in .answerAndClose }
        #expect(try sender.send(Target(receiver.url)).status == 200)
        #expect(receiver.wait { $0.openConnectionCount == 0 })
        sender.multi.run(timeout: .seconds(1)) { _, _ in }
        let waited = ContinuousClock().measure {
            sender.multi.run(timeout: .milliseconds(50)) { _, _ in }
        }
        #expect(waited >= .milliseconds(50))
    }

    @Test func `hanging targets do not delay healthy ones`() {
        let hanging = FaultyReceiver { _ in .silence }
        let healthy = FaultyReceiver()
        for number in 0..<300 {
            sender.start(Target("\(hanging.url)/\(number)"))
        }
        sender.run { hanging.received.count == 300 }
        let targets = (0..<100).map { Target("\(healthy.url)/\($0)") }
        for _ in 0..<5 {
            for target in targets {
                sender.start(target)
            }
        }
        sender.run { sender.outcomes.count == 500 }
        #expect(sender.outcomes.values.allSatisfy { $0.status == 200 && $0.seconds < 5 })
        #expect(sender.multi.inFlight == 300)
        hanging.stop()
        sender.run { sender.multi.inFlight == 0 }
        #expect(sender.outcomes.values.count { $0.error?.kind == .broken } == 300)
    }

    @Test func `a proxy of the environment is passed over`() async {
        await #expect(processExitsWith: .success) {
            for name in ["http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
                setenv(name, "http://127.0.0.1:1", 1)
            }
            let receiver = FaultyReceiver()
            let outcome = try Sender().send(Target(receiver.url))
            #expect(outcome.status == 200)
        }
    }

    @Test func `an engine that goes away leaves nothing open`() async {
        await #expect(processExitsWith: .success) {
            func openFiles() throws -> Int {
                try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
            }
            let receiver = FaultyReceiver { $0.path == "/" ? .success : .silence }
            let before = try openFiles()
            for round in 1...20 {
                let sender = Sender()
                _ = try sender.send(Target("\(receiver.url)/"))
                sender.start(Target("\(receiver.url)/silence"))
                sender.run { receiver.received.count == 2 * round }
            }
            #expect(receiver.wait { $0.openConnectionCount == 0 })
            // The system's libraries may open a few of their own meanwhile.
            #expect(try openFiles() < before + 20)
        }
    }
}
