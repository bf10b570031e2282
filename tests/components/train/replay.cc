// Loads a SavedModel with the loader that TF Serving is made of, sends it the requests of a warm-up
// file and writes the answers, a NamedTensorProto for each output by its name's order.
//
//   replay MODEL WARMUP_FILE ANSWERS

#include "google/protobuf/unknown_field_set.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/lib/io/record_writer.h"
#include "tensorflow/core/protobuf/named_tensor.pb.h"

using namespace tensorflow;

// The messages of field `number` in `message`: TensorFlow has no headers for TF Serving's protos.
std::vector<std::string> Messages(const std::string& message, int number) {
  google::protobuf::UnknownFieldSet fields;
  CHECK(fields.ParseFromString(message));
  std::vector<std::string> found;
  for (int i = 0; i < fields.field_count(); ++i)
    if (fields.field(i).number() == number) found.push_back(fields.field(i).length_delimited());
  return found;
}

int main(int argc, char** argv) {
  CHECK_EQ(argc, 4);
  SavedModelBundle model;
  TF_CHECK_OK(LoadSavedModel({}, {}, argv[1], {"serve"}, &model));
  std::unique_ptr<RandomAccessFile> requests;
  TF_CHECK_OK(Env::Default()->NewRandomAccessFile(argv[2], &requests));
  std::unique_ptr<WritableFile> answers;
  TF_CHECK_OK(Env::Default()->NewWritableFile(argv[3], &answers));
  io::RecordReader reader(requests.get());
  io::RecordWriter writer(answers.get());
  tstring log;
  for (uint64 offset = 0; reader.ReadRecord(&offset, &log).ok();) {
    // PredictionLog.predict_log.request, PredictRequest.model_spec.signature_name and .inputs
    const std::string request = Messages(Messages(log, 6).at(0), 1).at(0);
    const auto& signature = model.GetSignatures().at(Messages(Messages(request, 1).at(0), 3).at(0));
    std::vector<std::pair<std::string, Tensor>> inputs;
    for (const std::string& entry : Messages(request, 2)) {
      NamedTensorProto input;  // on the wire an entry of map<string, TensorProto> is the same
      CHECK(input.ParseFromString(entry));
      inputs.emplace_back(signature.inputs().at(input.name()).name(), Tensor());
      CHECK(inputs.back().second.FromProto(input.tensor()));
    }
    const std::map<std::string, TensorInfo> outputs(signature.outputs().begin(),
                                                    signature.outputs().end());
    std::vector<std::string> names;
    for (const auto& output : outputs) names.push_back(output.second.name());
    std::vector<Tensor> values;
    TF_CHECK_OK(model.session->Run(inputs, names, {}, &values));
    auto value = values.begin();
    for (const auto& output : outputs) {
      NamedTensorProto answer;
      answer.set_name(output.first);
      (value++)->AsProtoField(answer.mutable_tensor());
      TF_CHECK_OK(writer.WriteRecord(answer.SerializeAsString()));
    }
  }
  TF_CHECK_OK(writer.Close());
  TF_CHECK_OK(answers->Close());
}
