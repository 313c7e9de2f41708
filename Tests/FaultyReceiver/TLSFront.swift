import Foundation

/// Accepts TLS connections on 127.0.0.1 and hands on what is in them, unencrypted, to another port.
///
/// It is a process of Python, whose standard library has a TLS server where Swift's has none.
package final class TLSFront {
    /// The port it listens on.
    package let port: Int
    private let process = Process()
    /// Its end ends the process, even if the tests crash; `terminate` was seen to have no effect.
    private let input = Pipe()

    /// The output of a front that did not start.
    package struct Failure: Error {}

    /// Starts a front that shows `certificate`; with a `clientRoot`, it takes only clients that
    /// show a certificate of that authority.
    package init(
        to receiver: FaultyReceiver, showing certificate: CertificateAuthority.Certificate,
        clientRoot: CertificateAuthority.Certificate? = nil
    ) throws {
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c", Self.program, String(receiver.port),
            certificate.certificateFile.path(), certificate.keyFile.path(),
            clientRoot?.certificateFile.path() ?? "",
        ]
        process.standardInput = input
        process.standardOutput = output
        // Python reports each handshake that fails, and here some are to fail.
        process.standardError = FileHandle.nullDevice
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Failure()
        }
        self.port = port
    }

    deinit {
        input.fileHandleForWriting.closeFile()
    }

    /// The URL of its root by address, without a slash at the end.
    package var url: String { "https://127.0.0.1:\(port)" }

    private static let program = """
        import asyncio, os, ssl, sys, threading

        def end_with_input():
            sys.stdin.read()
            os._exit(0)

        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        async def serve(reader, writer):
            far = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
            await asyncio.gather(pump(reader, far[1]), pump(far[0], writer))

        async def main():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[2], sys.argv[3])
            if sys.argv[4]:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(sys.argv[4])
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            print(server.sockets[0].getsockname()[1], flush=True)
            await server.serve_forever()

        threading.Thread(target=end_with_input, daemon=True).start()
        asyncio.run(main())
        """
}
