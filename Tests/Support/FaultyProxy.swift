import Glibc
import Postgres
import Synchronization

/// Stands between a client and a server on this machine, and fails as networks do: it cuts
/// connections, holds them up, and loses a COMMIT or the reply to it.
///
/// What was held up is delivered late, as a network does once it is whole again. For the traps the
/// connection has to be PostgreSQL's, without encryption (`sslmode=disable gssencmode=disable`).
package final class FaultyProxy: Sendable {
    /// How one commit goes wrong.
    package enum Trap: Sendable, Equatable, CaseIterable {
        /// The connection breaks before the server has heard of the COMMIT.
        case beforeCommit
        /// The connection breaks with the last byte to the server, which may do it or not.
        case amidCommit
        /// The server has committed, the reply is lost.
        case afterCommit
        /// The server has begun a COPY, and then hears nothing until ``resume()``.
        case stalledCopy
    }

    package let port: Int
    private let listener: Int32
    private let server: StreamSocket.Address
    private let speaksPostgres: Bool
    private let state = Mutex(State())
    private let sprung = Signal()

    private struct State {
        var links: [ObjectIdentifier: ProxyLink] = [:]
        /// Raised when what is held up may pass; nil while nothing is.
        var hold: Signal?
        var isRefusing = false
        var isStopped = false
        var trap: Trap?
        /// What a query has to hold to run into the trap, beside its COMMIT.
        var bait = ""
    }

    package init(to server: StreamSocket.Address, speaksPostgres: Bool = false) {
        self.server = server
        self.speaksPostgres = speaksPostgres
        (listener, port) = StreamSocket.listen()
        OSThread.start(name: "proxy") { [self] in accept() }
    }

    // MARK: Faults

    /// Breaks all connections; new ones are taken.
    package func cut() {
        for link in state.withLock({ Array($0.links.values) }) { link.cut() }
    }

    /// From now on all bytes wait, in both directions, new connections too.
    package func stall() {
        state.withLock { state in
            if state.hold == nil { state.hold = Signal() }
        }
    }

    /// Breaks each connection as soon as it is made, and those that are there.
    package func refuse() {
        state.withLock { $0.isRefusing = true }
        cut()
    }

    /// Ends what holds up or refuses connections; what was held up passes.
    package func resume() {
        let links = state.withLock { state in
            state.hold?.wake()
            state.hold = nil
            state.isRefusing = false
            state.trap = nil
            return Array(state.links.values)
        }
        for link in links { link.resume() }
    }

    /// Lets the next query that commits and holds `bait` run into a trap.
    package func arm(_ trap: Trap, bait: String) {
        sprung.drain()
        state.withLock { state in
            state.trap = trap
            state.bait = bait
        }
    }

    /// Waits for the trap; false if nothing ran into it in time.
    package func waitUntilSprung(timeout: Duration) -> Bool { sprung.wait(timeout: timeout) }

    /// Takes no more connections and breaks all.
    package func stop() {
        state.withLock { $0.isStopped = true }
        shutdown(listener, Int32(SHUT_RDWR))
        resume()
        cut()
    }

    // MARK: Connections

    private func accept() {
        while let client = StreamSocket.accept(listener) {
            OSThread.start(name: "proxy link") { [self] in serve(client) }
        }
        close(listener)
    }

    private func serve(_ client: Int32) {
        let link = ProxyLink(client: client)
        let isWelcome = state.withLock { state in
            guard !state.isStopped, !state.isRefusing else { return false }
            state.links[ObjectIdentifier(link)] = link
            return true
        }
        defer { state.withLock { _ = $0.links.removeValue(forKey: ObjectIdentifier(link)) } }
        guard isWelcome else { return link.cut() }
        waitWhileHeld(link)
        guard link.connect(to: server) else { return link.cut() }
        let back = OSThread.start(name: "proxy back") { [self] in
            pump(link, from: link.server, to: link.client, isFromClient: false)
        }
        pump(link, from: link.client, to: link.server, isFromClient: true)
        back.join()
    }

    private func waitWhileHeld(_ link: ProxyLink) {
        while let hold = state.withLock({ $0.hold }) ?? link.hold {
            _ = hold.waitUntilRaised(timeout: nil)
        }
    }

    private func pump(_ link: ProxyLink, from: Int32, to: Int32, isFromClient: Bool) {
        var messages = PostgresMessages(fromClient: isFromClient)
        while true {
            let bytes = StreamSocket.receive(from)
            waitWhileHeld(link)
            guard !bytes.isEmpty else { break }
            guard speaksPostgres else {
                if StreamSocket.send(bytes, to: to) { continue } else { break }
            }
            messages.append(bytes)
            var passing: [UInt8] = []
            var isCut = false
            while !isCut, let message = messages.next() {
                let verdict = isFromClient ? judge(message, link) : link.judge(reply: message)
                if verdict != .swallow { passing += message.bytes }
                isCut = verdict == .swallow || verdict == .cutAfter
                if verdict == .stallAfter { break }
            }
            let isSent = StreamSocket.send(passing, to: to)
            if isCut {
                link.cut()
                sprung.wake()
            }
            guard isSent, !isCut else { break }
            if link.hold != nil { sprung.wake() }
        }
        link.cut()
    }

    private func judge(_ message: PostgresMessage, _ link: ProxyLink) -> ProxyLink.Verdict {
        guard message.type == UInt8(ascii: "Q") else { return link.judge(message) }
        let trap = state.withLock { state -> Trap? in
            guard state.trap != nil, message.holds("COMMIT"), message.holds(state.bait) else {
                return nil
            }
            return state.trap.take()
        }
        return trap.map { link.spring($0, at: message) } ?? .pass
    }
}

/// One connection through a ``FaultyProxy``.
final class ProxyLink: Sendable {
    enum Verdict { case pass, swallow, cutAfter, stallAfter }

    let client: Int32
    private let state = Mutex(State())

    private struct State {
        var server: Int32 = -1
        var isCut = false
        var hold: Signal?
        var trap: FaultyProxy.Trap?
        /// COPYs of the query in the trap whose end has not passed.
        var copiesLeft = 0
    }

    init(client: Int32) { self.client = client }

    // Whoever still reads or writes holds the link, so no number is another's meanwhile.
    deinit {
        close(client)
        if server >= 0 { close(server) }
    }

    var server: Int32 { state.withLock { $0.server } }
    var hold: Signal? { state.withLock { $0.hold } }

    /// False if there is no server, or the link was cut meanwhile.
    func connect(to address: StreamSocket.Address) -> Bool {
        guard let descriptor = StreamSocket.connect(address) else { return false }
        return state.withLock { state in
            state.server = descriptor
            return !state.isCut
        }
    }

    /// Breaks the connection on both sides, for whoever waits on it too.
    func cut() {
        let server = state.withLock { state in
            state.isCut = true
            state.hold?.wake()
            state.hold = nil
            return state.server
        }
        for descriptor in [client, server] where descriptor >= 0 {
            StreamSocket.resetWhenClosed(descriptor)
            shutdown(descriptor, Int32(SHUT_RDWR))
        }
    }

    func resume() {
        state.withLock { state in
            state.hold?.wake()
            state.hold = nil
            state.trap = nil
        }
    }

    /// What becomes of the query that runs into a trap.
    func spring(_ trap: FaultyProxy.Trap, at query: PostgresMessage) -> Verdict {
        let copies = query.count(of: "FROM STDIN")
        return state.withLock { state in
            state.trap = trap
            state.copiesLeft = copies
            switch trap {
            case .beforeCommit: return .swallow
            case .amidCommit: return copies == 0 ? .cutAfter : .pass
            case .afterCommit: return .pass
            case .stalledCopy:
                state.hold = Signal()
                return .stallAfter
            }
        }
    }

    /// What becomes of a message to the server that is no query.
    func judge(_ message: PostgresMessage) -> Verdict {
        guard message.type == UInt8(ascii: "c") else { return .pass }
        return state.withLock { state in
            state.copiesLeft -= 1
            return state.trap == .amidCommit && state.copiesLeft == 0 ? .cutAfter : .pass
        }
    }

    /// What becomes of a message from the server.
    func judge(reply message: PostgresMessage) -> Verdict {
        let isCommitted = message.type == UInt8(ascii: "C") && message.holds("COMMIT")
        return state.withLock { state in
            switch state.trap {
            case .afterCommit: isCommitted ? .swallow : .pass
            // The server may be faster than the cut.
            case .amidCommit: state.copiesLeft == 0 ? .swallow : .pass
            default: .pass
            }
        }
    }
}
