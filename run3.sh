export PYTHONPATH=$PWD/src OMP_NUM_THREADS=1
headstart tune nav_mixed pretrained --trials 1 > nav_pre.log 2>&1
