// Runs a fuzz target without libFuzzer: a fixed set of seeds, each of them cut and mutated by a seeded generator.
// It finds little, but it compiles and runs every target in every build, so none can rot.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main() {
  const std::vector<std::string> seeds = {
      "",
      "*1\r\n$4\r\nPING\r\n",
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
      "PING hello \"quoted \\x41\"\r\n",
      ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
      "%1\r\n+a\r\n:1\r\n~1\r\n#t\r\n,1.5\r\n(123\r\n_\r\n=5\r\ntxt:a\r\n|1\r\n+k\r\n+v\r\n",
      "*-1\r\n$-1\r\n-ERR no\r\n",
      "GET /cache/a%20b HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br;q=0.5\r\n\r\n",
      "redis://user:pass@127.0.0.1:6379/2",
      "name = \"x\"\n[phase]\nrate = 1\n",
      R"({"type": "latency", "stream": "upstream", "toxicity": 0.5, "attributes": {"latency": 100, "jitter": null}})",
  };
  std::mt19937_64 random(42);
  auto run = [](const std::string& text) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  for (const auto& text : seeds) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) run(text.substr(0, cut));
    for (int round = 0; round < 2000; ++round) {
      std::string mutant = text;
      for (int edits = static_cast<int>(random() % 4); edits >= 0 && !mutant.empty(); --edits) {
        mutant[random() % mutant.size()] = static_cast<char>(random());
      }
      run(mutant);
    }
  }
  return 0;
}
