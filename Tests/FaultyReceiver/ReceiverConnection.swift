import Foundation

/// One connection of a `FaultyReceiver`: reads requests, and answers them in all ways.
final class ReceiverConnection {
    private let descriptor: Int32
    private let number: Int
    private var requestCount = 0
    /// What was read and belongs to no request yet.
    private var rest: [UInt8] = []

    init(_ descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    /// Makes closing the connection reset it.
    func resetWhenClosed() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// Reads the next request to its end; nil if the connection ends before.
    func readRequest() -> Received? {
        guard let end = readHead() else { return nil }
        let lines = String(decoding: rest[..<end], as: UTF8.self)
            .components(separatedBy: "\r\n").filter { !$0.isEmpty }
        rest.removeSubrange(..<end)
        let start = lines.first?.split(separator: " ").map(String.init) ?? []
        guard start.count == 3 else { return nil }
        let headers = lines.dropFirst().compactMap(Self.header)
        let length = headers.first { $0.0.lowercased() == "content-length" }.flatMap { Int($0.1) }
        while rest.count < length ?? 0 {
            guard readMore() else { return nil }
        }
        let body = Array(rest.prefix(length ?? 0))
        rest.removeFirst(body.count)
        requestCount += 1
        return Received(
            connection: number, numberOnConnection: requestCount, time: .now, method: start[0],
            path: start[1], headers: headers, body: body)
    }

    /// Does with the request that was read as it is told; false if the connection is to be closed.
    func perform(_ behaviour: Behaviour) -> Bool {
        switch behaviour {
        case .answer(let status, let headers, let body):
            return answer(status, headers, body)
        case .delayed(let duration, let behaviour):
            return isOpen(after: duration) && perform(behaviour)
        case .answerAndClose:
            _ = answer(200, [], "")
        case .close:
            break
        case .reset:
            resetWhenClosed()
        case .resetInHead:
            _ = send("HTTP/1.1 200 OK\r\nContent-Le") && isOpen(after: .milliseconds(20))
            resetWhenClosed()
        case .silence:
            while isOpen(after: .seconds(60)) {}
        case .garbage:
            _ = send("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n")
        case .drip, .endlessBody, .headers, .trailers, .interim:
            return flood(behaviour)
        }
        return false
    }

    private func flood(_ behaviour: Behaviour) -> Bool {
        switch behaviour {
        case .drip:
            guard send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") else { return false }
            while send("x") && isOpen(after: .seconds(1)) {}
        case .endlessBody:
            let piece = String(repeating: "endless ", count: 1_024)
            guard send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") else { return false }
            while send(piece) {}
        case .headers(let bytes, let lineBytes):
            let fields = Self.fields(bytes, lineBytes)
            return send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\(fields)\r\n")
        case .trailers(let bytes, let lineBytes):
            let fields = Self.fields(bytes, lineBytes)
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            return send("\(head)2\r\nok\r\n0\r\n\(fields)\r\n")
        case .interim(let count):
            var sent = 0
            while sent != count {
                guard send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n") else {
                    return false
                }
                sent += 1
            }
            return answer(200, [], "")
        default:
            preconditionFailure("\(behaviour) is no flood")
        }
        return false
    }

    private func answer(_ status: Int, _ headers: [(String, String)], _ body: String) -> Bool {
        let lines =
            ["HTTP/1.1 \(status) Answer", "Content-Length: \(body.utf8.count)"]
            + headers.map { "\($0): \($1)" }
        return send("\(lines.joined(separator: "\r\n"))\r\n\r\n\(body)")
    }

    /// Header lines that have so many bytes together, and so many each.
    private static func fields(_ bytes: Int, _ lineBytes: Int) -> String {
        let line = "X-Fill: \(String(repeating: "f", count: lineBytes - 10))\r\n"
        return String(repeating: line, count: bytes / lineBytes)
    }

    private static func header(_ line: String) -> (String, String)? {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        return (String(line[..<colon]), value)
    }

    /// Reads on until the head is there, and says where it ends.
    private func readHead() -> Int? {
        let end = Array("\r\n\r\n".utf8)
        var searched = 0
        while true {
            let found = rest[searched...].firstRange(of: end)
            if let found { return found.upperBound }
            searched = max(0, rest.count - end.count)
            guard readMore() else { return nil }
        }
    }

    private func readMore() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        rest += buffer.prefix(max(0, count))
        return count > 0
    }

    private func send(_ text: String) -> Bool {
        var unsent = Array(text.utf8)[...]
        while !unsent.isEmpty {
            let count = unsent.withUnsafeBytes {
                Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            unsent = unsent.dropFirst(count)
        }
        return true
    }

    /// POLLRDHUP, which Swift's Glibc lacks.
    private static let peerHasClosed = Int16(0x2000)

    /// Waits that long, or until the connection ends; false if it has ended.
    private func isOpen(after duration: Duration) -> Bool {
        var state = pollfd(fd: descriptor, events: Self.peerHasClosed, revents: 0)
        return poll(&state, 1, Int32(duration / .milliseconds(1))) == 0
    }
}
