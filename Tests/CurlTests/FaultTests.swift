import Curl
import FaultyReceiver
import Testing

/// What a `MultiTransfer` makes of receivers that do wrong.
@Suite struct FaultTests {
    private let sender = Sender()

    /// Sends one request to a receiver that behaves like that.
    private func outcome(
        of behaviour: Behaviour, adjust: (inout Target.Options) -> Void = { _ in }
    ) throws -> Outcome {
        let receiver = FaultyReceiver { _ in behaviour }
        defer { receiver.stop() }
        let outcome = try sender.send(Target(receiver.url, adjust: adjust))
        #expect(receiver.received.count == 1)
        return outcome
    }

    @Test(arguments: [Behaviour.reset, .close, .resetInHead, .garbage])
    func `an exchange that breaks after sending is broken`(behaviour: Behaviour) throws {
        let outcome = try outcome(of: behaviour)
        #expect(outcome.error?.kind == .broken)
        #expect(outcome.wasSent)
        #expect(outcome.status == 0)
    }

    @Test func `a connection that is reset at once is broken or not even made`() throws {
        let receiver = FaultyReceiver(resetsConnection: { _ in true })
        let error = try #require(try sender.send(Target(receiver.url)).error)
        #expect([.broken, .couldNotConnect].contains(error.kind))
        #expect(receiver.received.isEmpty)
    }

    @Test func `a refused connection is named, and nothing was sent`() throws {
        let receiver = FaultyReceiver()
        receiver.stop()
        let outcome = try sender.send(Target(receiver.url))
        #expect(outcome.error?.kind == .couldNotConnect)
        #expect(outcome.error?.description.contains("127.0.0.1:\(receiver.port)") == true)
        #expect(!outcome.wasSent)
    }

    @Test func `a host that does not exist is not resolved`() throws {
        let outcome = try sender.send(Target("http://nowhere.invalid/"))
        #expect(outcome.error?.kind == .couldNotResolve)
        #expect(!outcome.wasSent)
    }

    @Test(arguments: [Behaviour.close, .reset])
    func `a request is not sent again when a reused connection breaks`(end: Behaviour) throws {
        let receiver = FaultyReceiver { $0.numberOnConnection == 1 ? .success : end }
        let target = Target(receiver.url)
        #expect(try sender.send(target).status == 200)
        let outcome = try sender.send(target)
        #expect(outcome.error?.kind == .broken)
        #expect(outcome.error?.description.contains("broke before an answer came") == true)
        #expect(outcome.wasSent && outcome.isReusedConnection)
        #expect(receiver.received.count == 2)
        #expect(receiver.connectionCount == 1)
        #expect(try sender.send(target).status == 200)
    }

    @Test func `a request is not sent again over another idle connection`() throws {
        let receiver = FaultyReceiver { $0.numberOnConnection == 1 ? .success : .close }
        let target = Target(receiver.url)
        for _ in 0..<3 {
            sender.start(target)
        }
        sender.run { sender.multi.inFlight == 0 }
        #expect(receiver.connectionCount == 3)
        #expect(try sender.send(target).error?.kind == .broken)
        #expect(receiver.received.count == 4)
    }

    @Test func `a connection that is closed while idle is not reused`() throws {
        let receiver = FaultyReceiver { _ in .answerAndClose }
        let target = Target(receiver.url)
        for number in 1...20 {
            let outcome = try sender.send(target)
            #expect(outcome.status == 200)
            #expect(receiver.wait { $0.openConnectionCount == 0 })
            #expect(receiver.received.count == number)
        }
    }

    @Test(arguments: [Behaviour.silence, .delayed(.seconds(60), .success)])
    func `an answer that does not come is waited for no longer than allowed`(
        behaviour: Behaviour
    ) throws {
        let outcome = try outcome(of: behaviour) { $0.timeoutMilliseconds = 200 }
        #expect(outcome.error?.kind == .timedOut)
        #expect(outcome.wasSent)
        #expect((0.2..<5).contains(outcome.seconds))
    }

    @Test func `an answer may come late`() throws {
        #expect(try outcome(of: .delayed(.milliseconds(50), .answer(204))).status == 204)
    }

    @Test func `an answer of one byte a second ends with the time for the whole`() throws {
        let outcome = try outcome(of: .drip) { $0.timeoutMilliseconds = 200 }
        #expect(outcome.error?.kind == .timedOut)
        #expect(outcome.status == 200)
        #expect(outcome.seconds < 5)
    }

    @Test func `a body without end is cut off, and its status counts`() throws {
        let outcome = try outcome(of: .endlessBody)
        #expect(outcome.status == 200)
        #expect(outcome.error == nil)
        #expect(outcome.isTruncated)
        #expect(outcome.bodyStart.count == 1_024)
        #expect(outcome.bodyStart.starts(with: "endless endless ".utf8))
    }

    @Test func `a body at the limit is whole, and one over it cut off`() throws {
        let receiver = FaultyReceiver { _ in .answer(200, body: "12345") }
        let whole = try sender.send(Target(receiver.url) { $0.bodyBytesMax = 5 })
        #expect(!whole.isTruncated && whole.bodyStart == Array("12345".utf8))
        let cut = try sender.send(
            Target(receiver.url) {
                $0.bodyBytesMax = 4
                $0.bodyBytesKept = 3
            })
        #expect(cut.isTruncated && cut.status == 200 && cut.error == nil)
        #expect(cut.bodyStart == Array("123".utf8))
        #expect(receiver.wait { $0.openConnectionCount == 0 })
    }

    @Test(arguments: [
        Behaviour.headers(bytes: 20_000, lineBytes: 100),
        .headers(bytes: 20_000, lineBytes: 20_000), .headers(bytes: 400_000, lineBytes: 400_000),
        .interim(count: nil), .interim(count: 1_000), .trailers(bytes: 20_000, lineBytes: 100),
        .trailers(bytes: 20_000, lineBytes: 20_000),
    ])
    func `more headers than allowed are an error`(behaviour: Behaviour) throws {
        let outcome = try outcome(of: behaviour)
        #expect(outcome.error?.kind == .tooLarge, "\(outcome)")
        #expect(outcome.wasSent)
    }

    @Test(arguments: [
        Behaviour.headers(bytes: 15_000, lineBytes: 100), .interim(count: 100),
        .trailers(bytes: 15_000, lineBytes: 100),
    ])
    func `as many headers as are allowed are read`(behaviour: Behaviour) throws {
        let outcome = try outcome(of: behaviour)
        #expect(outcome.error == nil)
        #expect(outcome.status == 200)
    }

    @Test func `a redirect is not followed`() throws {
        let outcome = try outcome(of: .redirectToMetadata)
        #expect(outcome.status == 302)
        #expect(outcome.address == IPAddress("127.0.0.1"))
    }

    @Test(arguments: ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"])
    func `no connection is opened to a forbidden address`(host: String) throws {
        let receiver = FaultyReceiver()
        let rules = AddressRules()
        let target = Target("http://\(host):\(receiver.port)", permits: rules.permits)
        let outcome = try sender.send(target)
        #expect(outcome.error?.kind == .forbiddenAddress)
        let address = try #require(outcome.address)
        #expect(outcome.error?.description.contains(address.description) == true)
        #expect(!outcome.wasSent)
        #expect(receiver.connectionCount == 0)
    }

    @Test func `nothing is sent over an open connection to a forbidden address`() throws {
        let receiver = FaultyReceiver()
        #expect(try sender.send(Target(receiver.url)).status == 200)
        let outcome = try sender.send(Target(receiver.url, permits: { _ in false }))
        #expect(outcome.error?.kind == .forbiddenAddress)
        #expect(outcome.error?.description.contains("127.0.0.1") == true)
        #expect(!outcome.wasSent)
        #expect(receiver.received.count == 1)
        #expect(receiver.connectionCount == 1)
    }

    @Test func `a host with several addresses is reached at the permitted one`() throws {
        let receiver = FaultyReceiver()
        let target = Target(
            "http://localhost:\(receiver.port)", permits: { $0 == IPAddress("127.0.0.1") })
        #expect(try sender.send(target).status == 200)
    }
}
