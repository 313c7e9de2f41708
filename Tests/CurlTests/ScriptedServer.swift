import Foundation
import Synchronization

/// A server on the loopback that answers each request with the next text of its script and then
/// closes the connection only if the text says so.
final class ScriptedServer: Sendable {
    let port: Int
    /// What clients sent, one text for each request.
    let requests = Mutex<[String]>([])
    let connections = Mutex(0)
    private let listener: Int32
    private let script: Mutex<[String]>

    init(_ script: [String]) {
        self.script = Mutex(script)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                precondition(bind(listener, $0, size) == 0)
                precondition(listen(listener, 8) == 0)
                precondition(getsockname(listener, $0, &size) == 0)
            }
            return Int(UInt16(bigEndian: pointer.pointee.sin_port))
        }
        Thread.detachNewThread { [self] in
            while case let connection = accept(listener, nil, nil), connection >= 0 {
                connections.withLock { $0 += 1 }
                serve(connection)
                close(connection)
            }
            // Only here: were it closed while this thread accepts, the number could be another's.
            close(listener)
        }
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// Ends the server: a new connection is then refused.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func serve(_ connection: Int32) {
        while let request = readRequest(connection) {
            requests.withLock { $0.append(request) }
            guard let answer = script.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else {
                return
            }
            var rest = Array(answer.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if count <= 0 { return }
                rest = rest.dropFirst(count)
            }
            if answer.contains("Connection: close") { return }
        }
    }

    private func readRequest(_ connection: Int32) -> String? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let length = text.firstMatch(of: /Content-Length: (\d+)/).flatMap { Int($0.1) }
                if text[end.upperBound...].utf8.count >= length ?? 0 { return text }
            }
            let count = recv(connection, &buffer, buffer.count, 0)
            if count <= 0 { return nil }
            bytes += buffer.prefix(count)
        }
    }
}
